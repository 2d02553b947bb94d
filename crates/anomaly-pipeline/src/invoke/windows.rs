//! Rows for models that take the last readings of a series as one.
//!
//! Windows are stored before anything is scored. If the process dies before that, the batch comes again and
//! finds the old windows; if it dies after, it finds its own readings in the windows, and the readings before
//! them: the rows are the same. Were they stored last, what was handed on before a failure to store would be
//! missing from the rows of the next batch.

use std::collections::BTreeMap;

use anomaly_core::reading::{Reading, SeriesId};
use futures_util::{StreamExt, TryStreamExt, stream};

use crate::fault::Fault;
use crate::ports::{Saved, StoredWindow, Timer, Windows};

use super::driver::Turn;

/// How often a window is built anew because somebody else wrote it meanwhile: only while a series moves from
/// one partition to another, or an invocation outlived its function.
const CONFLICTS_MAX: usize = 5;
/// Windows written at a time.
const WRITES_AT_ONCE: usize = 16;

impl<S, T: Timer, W: Windows> Turn<'_, S, T, W> {
    /// The row that ends with each of `readings`; `None` for one that has too few before it.
    pub(super) async fn windowed(&self, readings: &[&Reading]) -> Result<Vec<Option<Vec<f64>>>, Fault> {
        let late = || Err(Fault::transient("load and store windows", "not done within the function's time"));
        self.in_time(self.all_rows(readings)).await.unwrap_or_else(late)
    }

    async fn all_rows(&self, readings: &[&Reading]) -> Result<Vec<Option<Vec<f64>>>, Fault> {
        let mut by_series: BTreeMap<&SeriesId, Vec<usize>> = BTreeMap::new();
        for (index, reading) in readings.iter().enumerate() {
            by_series.entry(&reading.series).or_default().push(index);
        }
        let names: Vec<SeriesId> = by_series.keys().map(|name| (*name).clone()).collect();
        let stored = self.driver.windows.load(&names).await?;
        let all = by_series.into_iter().zip(stored).map(|((series, indexes), stored)| async move {
            let own: Vec<&Reading> = indexes.iter().filter_map(|i| readings.get(*i).copied()).collect();
            let rows = self.rows_of(series, &own, stored).await?;
            Ok::<_, Fault>((indexes, rows))
        });
        let mut rows = vec![None; readings.len()];
        let mut done = stream::iter(all).buffer_unordered(WRITES_AT_ONCE);
        while let Some((indexes, own)) = done.try_next().await? {
            indexes.into_iter().zip(own).for_each(|(index, row)| rows[index] = row);
        }
        Ok(rows)
    }

    /// The rows of one series, its window stored if they changed it.
    async fn rows_of(
        &self,
        series: &SeriesId,
        readings: &[&Reading],
        mut stored: Option<StoredWindow>,
    ) -> Result<Vec<Option<Vec<f64>>>, Fault> {
        let windows = &self.driver.windows;
        for _ in 0..CONFLICTS_MAX {
            let revision = stored.as_ref().map(|stored| stored.revision);
            let before = stored.map(|stored| stored.window).unwrap_or_default();
            let mut window = before.clone();
            let rows = window.rows(readings, self.driver.shingle);
            if window == before || windows.save(series, &window, revision).await? == Saved::Written {
                return Ok(rows);
            }
            stored = windows.load(std::slice::from_ref(series)).await?.pop().flatten();
        }
        let detail = format!("others wrote it {CONFLICTS_MAX} times meanwhile");
        Err(Fault::transient(format!("store the window of {series}"), detail))
    }
}
