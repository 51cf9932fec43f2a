//! What a registry must do in any store. For the tests of this crate, and for those that start
//! Redis.

use std::collections::BTreeSet;

use super::{Mode, Registry};

/// Names begin with `prefix`, so that a store may be used several times.
///
/// # Panics
/// The registry does not do what it must.
#[expect(clippy::unwrap_used, reason = "it is for tests")]
pub async fn conforms(registry: &Registry, prefix: &str) {
    let [bob, one, two] = ["bob", "pod-1", "pod-2"].map(|name| format!("{prefix}-{name}"));
    let at = async || registry.pods_of(&bob).await.unwrap();
    let pods = |names: &[&String]| names.iter().map(|name| (*name).clone()).collect();

    assert!(!registry.keep_alive(&one).await.unwrap());
    assert!(!registry.keep_alive(&two).await.unwrap());
    assert!(registry.keep_alive(&one).await.unwrap());
    let living = registry.pods().await.unwrap().living;
    assert!(living.is_superset(&pods(&[&one, &two])));
    assert!(at().await.is_empty());

    registry.register(&bob, "bob-1", &one).await.unwrap();
    registry.register(&bob, "bob-2", &two).await.unwrap();
    let expected: BTreeSet<_> = match registry.mode {
        Mode::Single => pods(&[&two]),
        Mode::Multi => pods(&[&one, &two]),
    };
    assert_eq!(at().await, expected);
    // The older connection closes late, and takes nothing of the newer one.
    registry.unregister(&bob, "bob-1", &one, true).await.unwrap();
    assert_eq!(at().await, pods(&[&two]));
    registry.correct(&bob, &one).await.unwrap();
    assert_eq!(at().await, pods(&[&two]));

    // What is there already is not changed by saying it again.
    let carol = format!("{prefix}-carol");
    let here = [(bob.clone(), "bob-2".to_owned()), (carol.clone(), "carol-1".to_owned())];
    registry.register_all(&here, &two).await.unwrap();
    let all = registry.pods_of_all(&[bob.clone(), carol.clone()].into()).await.unwrap();
    assert_eq!([all.get(&bob), all.get(&carol)], [Some(&pods(&[&two])); 2]);

    assert!(registry.claim_remains(&two, &one).await.unwrap());
    assert!(!registry.claim_remains(&two, &one).await.unwrap());
    registry.release_remains(&two, &two).await.unwrap();
    assert!(!registry.claim_remains(&two, &two).await.unwrap(), "it is not two's to give back");
    registry.leave(&two).await.unwrap();
    registry.bury(&two, &one).await.unwrap();
    assert!(at().await.is_empty(), "what a dead pod has registered is not believed");
    assert!(registry.claim_remains(&two, &one).await.unwrap());
    registry.bury(&two, &one).await.unwrap();
    registry.leave(&one).await.unwrap();
    assert!(registry.pods().await.unwrap().dead.contains(&one));
    registry.bury(&one, &one).await.unwrap();
    let left = registry.pods().await.unwrap();
    assert!(left.living.is_disjoint(&pods(&[&one, &two])));
    assert!(left.dead.is_disjoint(&pods(&[&one, &two])));
}
