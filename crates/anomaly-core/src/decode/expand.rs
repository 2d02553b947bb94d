//! What is around a record's text: Base64, gzip, zstd. Nothing grows beyond the limit.

use std::borrow::Cow;
use std::io::Read;

use crate::config::{Compression, Encoding, Format, Input};
use crate::reject::Reject;

/// How a gzip member begins (RFC 1952, section 2.3.1).
const GZIP: &[u8] = b"\x1f\x8b";
/// How a zstd frame begins (RFC 8878, section 3.1.1).
const ZSTD: &[u8] = b"\x28\xb5\x2f\xfd";

/// The text of the record `bytes`.
///
/// # Errors
/// [`Reject::Base64`], [`Reject::Compressed`] or [`Reject::Expanded`].
pub(super) fn expand<'b>(input: &Input, bytes: &'b [u8]) -> Result<Cow<'b, [u8]>, Reject> {
    let packed = match input.encoding {
        Encoding::Plain => Cow::Borrowed(bytes),
        Encoding::Base64 => unbase64(bytes)?,
    };
    let unpacked = match compression(input.compression, &packed)? {
        None => return Ok(packed),
        Some(unpack) => unpack(&packed, input.expanded_bytes_max)?,
    };
    Ok(Cow::Owned(unpacked))
}

/// Whether `bytes` are JSON as it is, which nearly all records are, and need no [`expand`].
pub(super) fn is_plain(input: &Input, bytes: &[u8]) -> bool {
    let may_be = matches!(input.compression, Compression::Auto | Compression::None);
    bytes.first() == Some(&b'{') && may_be && input.format != Format::Csv
}

/// A brace or a bracket is no digit of Base64: what begins with one was never encoded.
fn unbase64(bytes: &[u8]) -> Result<Cow<'_, [u8]>, Reject> {
    let text = bytes.trim_ascii();
    if text.starts_with(b"{") || text.starts_with(b"[") {
        return Ok(Cow::Borrowed(text));
    }
    let plain = base64_simd::STANDARD.decode_to_vec(text).or_else(|_| {
        let url_safe = text.iter().position(|b| *b == b'=').and_then(|end| text.get(..end)).unwrap_or(text);
        base64_simd::URL_SAFE_NO_PAD.decode_to_vec(url_safe)
    });
    plain.map(Cow::Owned).map_err(|_| Reject::Base64)
}

/// The decoder's own words are not for people.
const DAMAGED: &str = "it is cut off or damaged";

type Unpack = fn(&[u8], usize) -> Result<Vec<u8>, Reject>;

/// What unpacks `bytes`; nothing if they are not packed.
fn compression(setting: Compression, bytes: &[u8]) -> Result<Option<Unpack>, Reject> {
    let (is_gzip, is_zstd) = (bytes.starts_with(GZIP), bytes.starts_with(ZSTD));
    let or_not = |is_it: bool, name: &str, unpack: Unpack| match is_it {
        true => Ok(Some(unpack)),
        false => Err(broken(name, "the record does not begin as one does")),
    };
    match setting {
        Compression::None => Ok(None),
        Compression::Auto if is_gzip => Ok(Some(gunzip)),
        Compression::Auto if is_zstd => Ok(Some(unzstd)),
        Compression::Auto => Ok(None),
        Compression::Gzip => or_not(is_gzip, "gzip", gunzip),
        Compression::Zstd => or_not(is_zstd, "zstd", unzstd),
    }
}

fn broken(name: &str, why: impl std::fmt::Display) -> Reject {
    Reject::Compressed { detail: format!("{name}: {why}") }
}

fn gunzip(bytes: &[u8], limit: usize) -> Result<Vec<u8>, Reject> {
    let mut expanded = Vec::new();
    read(flate2::bufread::MultiGzDecoder::new(bytes), limit, &mut expanded).map_err(|e| broken("gzip", e))?;
    within(expanded, limit)
}

/// All frames of `bytes`. A frame that asks for a window beyond the limit is refused before there is memory
/// for it; no window needs to be smaller than 1 MiB (what the highest levels of usual encoders take for small
/// input), whatever the limit.
fn unzstd(mut bytes: &[u8], limit: usize) -> Result<Vec<u8>, Reject> {
    use ruzstd::decoding::errors::FrameDecoderError::WindowSizeTooBig;
    use ruzstd::decoding::{FrameDecoder, StreamingDecoder};
    let mut expanded = Vec::new();
    while !bytes.is_empty() && expanded.len() <= limit {
        let mut frame = FrameDecoder::new();
        frame.set_max_window_size(limit.max(1 << 20) as u64);
        let mut decoder = match StreamingDecoder::new_with_decoder(&mut bytes, frame) {
            Ok(decoder) => decoder,
            Err(WindowSizeTooBig { .. }) => return Err(Reject::Expanded { limit: limit as u64 }),
            Err(_) => return Err(broken("zstd", DAMAGED)),
        };
        let room = limit - expanded.len();
        read(&mut decoder, room, &mut expanded).map_err(|_| broken("zstd", DAMAGED))?;
        let (written, computed) =
            (decoder.decoder.get_checksum_from_data(), decoder.decoder.get_calculated_checksum());
        if expanded.len() <= limit && written.is_some() && written != computed {
            return Err(broken("zstd", "the checksum is another"));
        }
    }
    within(expanded, limit)
}

/// Reads one byte more than `limit` at most: enough to know.
fn read(from: impl Read, limit: usize, to: &mut Vec<u8>) -> std::io::Result<()> {
    from.take(limit as u64 + 1).read_to_end(to).map(drop)
}

fn within(expanded: Vec<u8>, limit: usize) -> Result<Vec<u8>, Reject> {
    if expanded.len() > limit { Err(Reject::Expanded { limit: limit as u64 }) } else { Ok(expanded) }
}
