//! Every target over every input that was found so far.

use std::fs;
use std::path::Path;

use anomaly_fuzz_targets::TARGETS;

#[test]
fn what_was_found_once_holds() {
    let corpus = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/corpus"));
    for (name, target) in TARGETS {
        let folder = corpus.join(name);
        let files = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        let mut inputs = 0;
        for file in files {
            let path = file.expect("an entry").path();
            target(&fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display())));
            inputs += 1;
        }
        assert!(inputs > 0, "{} is empty", folder.display());
        target(b"");
    }
}
