//! A model that follows its file: what `anomaly train` writes in its place is served without a restart.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anomaly_detect::Model;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};

use super::{ArtifactError, open_model};

/// How often the file is looked at: a look is a call or two of the system.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// The model at a path, and what the file looked like when it was read.
#[derive(Debug)]
pub struct Followed {
    path: PathBuf,
    stamp: Stamp,
    sender: watch::Sender<Arc<Model>>,
}

/// What came of looking again.
#[derive(Debug)]
pub enum Reload {
    /// Nothing has changed.
    Same,
    /// Another model is served from now on.
    Changed(Arc<Model>),
    /// What is there now is not served, and why; what was there still is.
    Refused(String),
}

/// Device, inode, size and time of change of each file there is: a file that is replaced or written to has others.
type Stamp = Vec<Option<(u64, u64, u64, i64, i64)>>;

impl Followed {
    /// Opens the model at `path`, as [`open_model`] does.
    ///
    /// # Errors
    /// Those of [`open_model`].
    pub fn open(path: &Path) -> Result<Followed, ArtifactError> {
        // Before it is read: what changes meanwhile is another stamp.
        let stamp = stamp(path);
        let model = open_model(path)?;
        Ok(Followed { path: path.to_owned(), stamp, sender: watch::Sender::new(Arc::new(model)) })
    }

    /// What is served: the latest model.
    pub fn latest(&self) -> watch::Receiver<Arc<Model>> {
        self.sender.subscribe()
    }

    /// Reads the model again if its file has changed since it was read, or tried, last.
    pub fn look(&mut self) -> Reload {
        match stamp(&self.path) == self.stamp {
            true => Reload::Same,
            false => self.reload(),
        }
    }

    /// Reads the model again. One whose rows are others is refused: what its clients send would be refused then.
    pub fn reload(&mut self) -> Reload {
        self.stamp = stamp(&self.path);
        let model = match open_model(&self.path) {
            Ok(model) => Arc::new(model),
            Err(error) => return Reload::Refused(error.to_string()),
        };
        let served = self.sender.borrow().clone();
        if model.id() == served.id() {
            return Reload::Same;
        }
        if model.columns() != served.columns() {
            let columns = |model: &Model| {
                format!("{} with {} readings a row", model.features().join(", "), model.shingle())
            };
            let (found, known) = (columns(&model), columns(&served));
            return Reload::Refused(format!("it takes {found}, not {known}; restart to serve it"));
        }
        self.sender.send_replace(model.clone());
        Reload::Changed(model)
    }

    /// Looks every other second, and reads anew at each SIGHUP, for ever; `say` is told what came of it.
    ///
    /// # Errors
    /// If the signal cannot be heard; later, nothing.
    pub fn follow(
        mut self,
        say: impl Fn(&Reload) + Send + 'static,
    ) -> std::io::Result<impl Future<Output = ()> + Send + 'static> {
        use tokio::signal::unix::{SignalKind, signal};
        let mut hangup = signal(SignalKind::hangup())?;
        Ok(async move {
            let mut looks = interval(LOOK_EVERY);
            looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                let look: fn(&mut Followed) -> Reload = tokio::select! {
                    _ = hangup.recv() => Followed::reload,
                    _ = looks.tick() => Followed::look,
                };
                // Reading a model takes up to seconds: not on the threads that answer.
                let looked = tokio::task::spawn_blocking(move || {
                    let reload = look(&mut self);
                    (self, reload)
                });
                let Ok((followed, reload)) = looked.await else { return };
                self = followed;
                say(&reload);
            }
        })
    }
}

fn stamp(path: &Path) -> Stamp {
    let of = |path: PathBuf| {
        let there = fs::metadata(path).ok()?;
        Some((there.dev(), there.ino(), there.size(), there.mtime(), there.mtime_nsec()))
    };
    [path.to_owned(), path.join("model.json"), path.join("forest.bin")].map(of).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use anomaly_detect::TrainOptions;

    fn train(seed: u64, features: &[&str], path: &Path) -> Model {
        let rows = (0..100).map(|n| features.iter().map(|_| f64::from(n % 7)).collect());
        let features = features.iter().map(|name| (*name).to_owned()).collect();
        let options = TrainOptions { features, trees: 5, sample_size: 32, seed, ..TrainOptions::default() };
        let model = Model::train(rows, &options).expect("trained");
        let mut bytes = Vec::new();
        model.write(&mut bytes).expect("written");
        fs::write(path.with_extension("part"), bytes).expect("written");
        fs::rename(path.with_extension("part"), path).expect("renamed");
        model
    }

    #[test]
    fn what_is_put_in_its_place_is_served_if_it_can_be() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("model.tar.gz");
        let first = train(1, &["cpu"], &path);
        let mut followed = Followed::open(&path).expect("a model");
        let latest = followed.latest();
        let id = || latest.borrow().id().to_owned();
        assert_eq!(id(), first.id());
        assert!(matches!(followed.look(), Reload::Same));
        let second = train(2, &["cpu"], &path);
        assert!(matches!(followed.look(), Reload::Changed(model) if model.id() == second.id()));
        assert_eq!(id(), second.id());

        // Half a model, and one for others: told once, and the second goes on.
        fs::write(&path, [0x1f, 0x8b, 8]).expect("written");
        assert!(matches!(followed.look(), Reload::Refused(why) if why.starts_with("not a model")));
        assert!(matches!(followed.look(), Reload::Same));
        train(3, &["cpu", "memory"], &path);
        let Reload::Refused(why) = followed.look() else { panic!("it cannot be served") };
        assert_eq!(
            why,
            "it takes cpu, memory with 1 readings a row, not cpu with 1 readings a row; restart to serve it"
        );
        fs::remove_file(&path).expect("removed");
        assert!(matches!(followed.look(), Reload::Refused(_)));
        assert!(matches!(followed.reload(), Reload::Refused(_)), "asked for, it is told again");
        assert_eq!(id(), second.id());
        // The same model in a new file is no news.
        train(2, &["cpu"], &path);
        assert!(matches!(followed.look(), Reload::Same));
    }
}
