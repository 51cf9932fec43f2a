//! What criterion has measured, and what that is beside the floors.

use std::fs;
use std::path::Path;

use anyhow::Context as _;
use serde::Deserialize;

/// What a bench is called that measures the floor of the others in its group.
const FLOOR: &str = "floor";

/// One bench, as criterion names it.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Bench {
    group_id: String,
    #[serde(default)]
    function_id: Option<String>,
    /// The input; a floor is that of the benches with the same one.
    #[serde(default)]
    value_str: Option<String>,
    full_id: String,
}

#[derive(Deserialize)]
struct Estimates {
    mean: Estimate,
}

#[derive(Deserialize)]
struct Estimate {
    point_estimate: f64,
}

/// A bench beside its floor, if it has one.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Measured {
    pub(crate) name: String,
    pub(crate) ns: f64,
    pub(crate) floor_ns: Option<f64>,
    pub(crate) ratio: Option<f64>,
}

/// Finds all that criterion has left below a folder: each bench, and its mean in nanoseconds.
pub(crate) fn read(folder: &Path) -> anyhow::Result<Vec<(Bench, f64)>> {
    let mut found = Vec::new();
    let entries = fs::read_dir(folder).with_context(|| folder.display().to_string())?;
    for entry in entries {
        let entry = entry?;
        if !entry.file_type()?.is_dir() {
            continue;
        }
        if entry.file_name() == "new" {
            let bench = serde_json::from_slice(&fs::read(entry.path().join("benchmark.json"))?)?;
            let estimates = fs::read(entry.path().join("estimates.json"))?;
            let estimates: Estimates = serde_json::from_slice(&estimates)?;
            found.push((bench, estimates.mean.point_estimate));
        } else {
            found.extend(read(&entry.path())?);
        }
    }
    Ok(found)
}

/// Puts every bench beside the floor of its group and input, in the order of the names.
pub(crate) fn ratios(found: Vec<(Bench, f64)>) -> Vec<Measured> {
    let is_floor = |bench: &Bench| bench.function_id.as_deref() == Some(FLOOR);
    let floor_of = |bench: &Bench| {
        let mut floors = found.iter().filter(|(floor, _)| is_floor(floor));
        let same =
            |floor: &Bench| floor.group_id == bench.group_id && floor.value_str == bench.value_str;
        floors.find(|(floor, _)| same(floor)).map(|(_, ns)| *ns)
    };
    let benches = found.iter().filter(|(bench, _)| !is_floor(bench));
    let mut measured: Vec<_> = benches
        .map(|(bench, ns)| {
            let floor_ns = floor_of(bench);
            let ratio = floor_ns.map(|floor_ns| ns / floor_ns);
            Measured { name: bench.full_id.clone(), ns: *ns, floor_ns, ratio }
        })
        .collect();
    measured.sort_by(|a, b| a.name.cmp(&b.name));
    measured
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bench(group: &str, function: &str, value: &str) -> Bench {
        Bench {
            group_id: group.into(),
            function_id: Some(function.into()),
            value_str: Some(value.into()),
            full_id: format!("{group}/{function}/{value}"),
        }
    }

    #[test]
    fn a_floor_is_that_of_its_group_and_input() {
        let measured = ratios(vec![
            (bench("log", "append", "1"), 30.0),
            (bench("log", "floor", "1"), 10.0),
            (bench("log", "floor", "2"), 1.0),
            (bench("group", "join", "1"), 7.0),
        ]);
        let told: Vec<_> =
            measured.iter().map(|one| (one.name.as_str(), one.floor_ns, one.ratio)).collect();
        let join = ("group/join/1", None, None);
        assert_eq!(told, [join, ("log/append/1", Some(10.0), Some(3.0))]);
    }
}
