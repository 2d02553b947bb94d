//! Windows are written on condition that nobody else did.

use anomaly_core::window::Window;
use anomaly_pipeline::fault::Fault;
use anomaly_pipeline::ports::{Saved, StoredWindow, Windows};

use super::{name, scored};

/// Empty windows are written over only by who has read what is there, and come back in the order asked for.
///
/// # Errors
/// A fault of the windows.
///
/// # Panics
/// If they break their contract.
pub async fn windows(windows: &impl Windows) -> Result<(), Fault> {
    let (a, b) = (name("a"), name("b"));
    assert_eq!(windows.load(&[a.clone(), b.clone()]).await?, [None, None], "nothing was written");
    let (one, two) = (window(&[1.0]), window(&[1.0, 2.0]));
    assert_eq!(windows.save(&a, &one, Some(1)).await?, Saved::Conflict, "there is none to write over");
    assert_eq!(windows.save(&a, &one, None).await?, Saved::Written);
    assert_eq!(windows.save(&a, &two, None).await?, Saved::Conflict, "there is one");
    let stored = windows.load(&[b.clone(), a.clone()]).await?;
    let [None, Some(StoredWindow { window, revision })] = &stored[..] else { panic!("{stored:?}") };
    assert_eq!(*window, one, "a conflict writes nothing");
    assert_eq!(windows.save(&a, &two, Some(*revision)).await?, Saved::Written);
    assert_eq!(windows.save(&a, &one, Some(*revision)).await?, Saved::Conflict, "the same again");
    let now = windows.load(std::slice::from_ref(&a)).await?;
    assert_eq!(now.into_iter().flatten().map(|stored| stored.window).collect::<Vec<_>>(), [two]);
    Ok(())
}

fn window(values: &[f64]) -> Window {
    let mut window = Window::default();
    for (number, value) in (1..).zip(values) {
        window.take_in_once(&scored(&name("a"), number, *value).reading, 4);
    }
    window
}
