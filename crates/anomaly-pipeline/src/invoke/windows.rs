//! Rows for models that take the last readings of a series as one, and values for features that take the previous
//! one.
//!
//! Windows are stored before anything is scored. If the process dies before that, the batch comes again and
//! finds the old windows; if it dies after, it finds its own readings in the windows, and the readings before
//! them: the rows are the same. Were they stored last, what was handed on before a failure to store would be
//! missing from the rows of the next batch.

use std::collections::BTreeMap;

use anomaly_core::reading::{Reading, SeriesId};
use anomaly_core::window::Windowed;
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
    /// What each of `readings` is to the model.
    pub(super) async fn windowed(&self, readings: &[&Reading]) -> Result<Vec<Windowed>, Fault> {
        let late = || Err(Fault::transient("load and store windows", "not done within the function's time"));
        self.in_time(self.all_windowed(readings)).await.unwrap_or_else(late)
    }

    async fn all_windowed(&self, readings: &[&Reading]) -> Result<Vec<Windowed>, Fault> {
        let mut by_series: BTreeMap<&SeriesId, Vec<usize>> = BTreeMap::new();
        for (index, reading) in readings.iter().enumerate() {
            by_series.entry(&reading.series).or_default().push(index);
        }
        let names: Vec<SeriesId> = by_series.keys().map(|name| (*name).clone()).collect();
        let stored = self.driver.windows.load(&names).await?;
        let all = by_series.into_iter().zip(stored).map(|((series, indexes), stored)| async move {
            let own: Vec<&Reading> = indexes.iter().filter_map(|i| readings.get(*i).copied()).collect();
            let windowed = self.windowed_of(series, &own, stored).await?;
            Ok::<_, Fault>(indexes.into_iter().zip(windowed))
        });
        let done: Vec<_> = stream::iter(all).buffer_unordered(WRITES_AT_ONCE).try_collect().await?;
        let mut windowed: Vec<(usize, Windowed)> = done.into_iter().flatten().collect();
        windowed.sort_unstable_by_key(|(index, _)| *index);
        Ok(windowed.into_iter().map(|(_, windowed)| windowed).collect())
    }

    /// Those of one series, its window stored if they changed it.
    async fn windowed_of(
        &self,
        series: &SeriesId,
        readings: &[&Reading],
        mut stored: Option<StoredWindow>,
    ) -> Result<Vec<Windowed>, Fault> {
        let windows = &self.driver.windows;
        for _ in 0..CONFLICTS_MAX {
            let revision = stored.as_ref().map(|stored| stored.revision);
            let before = stored.map(|stored| stored.window).unwrap_or_default();
            let mut window = before.clone();
            let windowed = window.take_in(readings, self.driver.plan.shingle);
            if window == before || windows.save(series, &window, revision).await? == Saved::Written {
                return Ok(windowed);
            }
            stored = windows.load(std::slice::from_ref(series)).await?.pop().flatten();
        }
        let detail = format!("others wrote it {CONFLICTS_MAX} times meanwhile");
        Err(Fault::transient(format!("store the window of {series}"), detail))
    }
}
