//! Rows that say only what is not 0: keys, values and, if they like, the shape.
//!
//! Source: Amazon SageMaker developer guide, "Common Data Formats for Inference": `{"keys": [26, 182], "shape":
//! [2000], "values": [1, 1]}`; SageMaker Python SDK 2.232.3, `sagemaker/amazon/record.proto`.

/// The most numbers that the sparse rows of one body may become when written out, so that a small body cannot take all
/// memory: 64 MiB, more than the largest body ([`BODY_BYTES_MAX`](super::BODY_BYTES_MAX)) can say of one-digit numbers in
/// full.
pub const SPARSE_NUMBERS_MAX: usize = 8 << 20;

/// Writes rows out until [`SPARSE_NUMBERS_MAX`].
#[derive(Debug)]
pub struct Sparse {
    width: usize,
    left: usize,
}

impl Sparse {
    /// For rows of `width` numbers.
    pub fn of(width: usize) -> Self {
        Sparse { width, left: SPARSE_NUMBERS_MAX }
    }

    /// The row with `values` at `keys`, counted from 0, and 0 elsewhere. An empty `shape` says nothing.
    ///
    /// # Errors
    /// In words: other keys than values, a key twice or beyond the width, another shape than the width; too many rows.
    pub fn row(&mut self, keys: &[u64], values: &[f64], shape: &[u64]) -> Result<Vec<f64>, String> {
        let Sparse { width, left } = self;
        if keys.len() != values.len() {
            return Err(format!("{} \"keys\" for {} \"values\"", keys.len(), values.len()));
        }
        if !shape.is_empty() && shape.iter().try_fold(1, |n: u64, m| n.checked_mul(*m)) != Some(*width as u64)
        {
            return Err(format!("its \"shape\" is {:?} where the model takes [{width}]", first(shape)));
        }
        *left = left.checked_sub(*width).ok_or_else(|| {
            format!(
                "the rows would be more than {SPARSE_NUMBERS_MAX} numbers when written out; send fewer at a time"
            )
        })?;
        let mut row = vec![None; *width];
        for (key, value) in keys.iter().zip(values) {
            let slot = usize::try_from(*key).ok().and_then(|key| row.get_mut(key));
            let slot = slot.ok_or_else(|| format!("key {key} is not 0 to {}", width.saturating_sub(1)))?;
            if slot.replace(*value).is_some() {
                return Err(format!("key {key} is there twice"));
            }
        }
        Ok(row.into_iter().map(Option::unwrap_or_default).collect())
    }
}

/// A reason is no dump.
fn first(shape: &[u64]) -> &[u64] {
    &shape[..shape.len().min(4)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_said_is_zero() {
        let row = |keys: &[u64], values: &[f64], shape: &[u64]| Sparse::of(4).row(keys, values, shape);
        assert_eq!(row(&[3, 0], &[1.5, -2.0], &[4]), Ok(vec![-2.0, 0.0, 0.0, 1.5]));
        assert_eq!(row(&[], &[], &[2, 2]), Ok(vec![0.0; 4]));
        let error = |keys: &[u64], values: &[f64], shape: &[u64]| row(keys, values, shape).unwrap_err();
        assert_eq!(error(&[1], &[1.0, 2.0], &[]), "1 \"keys\" for 2 \"values\"");
        assert_eq!(error(&[4], &[1.0], &[]), "key 4 is not 0 to 3");
        assert_eq!(error(&[u64::MAX], &[1.0], &[]), format!("key {} is not 0 to 3", u64::MAX));
        assert_eq!(error(&[1, 1], &[0.0, 0.0], &[]), "key 1 is there twice");
        assert_eq!(error(&[1], &[1.0], &[2000]), "its \"shape\" is [2000] where the model takes [4]");
        assert_eq!(
            error(&[1], &[1.0], &[u64::MAX, 2, 1, 1, 1]),
            format!("its \"shape\" is {:?} where the model takes [4]", [u64::MAX, 2, 1, 1])
        );
    }

    #[test]
    fn a_small_body_cannot_take_all_memory() {
        let mut sparse = Sparse::of(SPARSE_NUMBERS_MAX / 2);
        assert!(sparse.row(&[], &[], &[]).is_ok() && sparse.row(&[], &[], &[]).is_ok());
        let error = sparse.row(&[], &[], &[]).unwrap_err();
        assert!(error.contains("send fewer at a time"), "{error}");
    }
}
