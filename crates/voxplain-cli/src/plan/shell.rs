//! A plan as a plain shell script, for one machine or for any engine that a person writes it into.

use super::{Plan, line, made_from};
use crate::shell::quoted;

/// The script.
pub(crate) fn script(plan: &Plan) -> String {
    let mut text = format!(
        "#!/bin/sh\n{}\n#\n# It ends where a task fails; run it again, and it goes on there. Tasks of a loop share nothing, so that they may run anywhere, in any order,\n\
         # also at the same time, on machines that see the same folders.\nset -eu\ncd {}\nvoxplain=${{VOXPLAIN:-voxplain}}\n",
        made_from(plan, "A plan in plain shell"),
        quoted(&plan.folder.display().to_string()),
    );
    for stage in &plan.stages {
        text += &format!("\n# {}\n{}", stage.name, stage.comment());
        match stage.shards {
            Some(shards) => {
                let numbers: Vec<String> = (1..=shards).map(|n| n.to_string()).collect();
                // The number stands outside of what is quoted.
                let words = line("\"$voxplain\"", &stage.with(&["--shard=@"]))
                    .replace("--shard=@", &format!("--shard=\"$n\"/{shards}"));
                text += &format!("for n in {}; do\n    {words}\ndone\n", numbers.join(" "));
            }
            None => text += &format!("{}\n", line("\"$voxplain\"", &stage.words)),
        }
        if let Some(words) = &stage.merge {
            text += &format!("{}\n", line("\"$voxplain\"", words));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::tests::plan;

    #[test]
    fn every_shard_is_in_a_loop() {
        let text = script(&plan());
        assert!(text.contains(
            "# prepare\nfor n in 1 2 3 4 5 6 7 8; do\n    \"$voxplain\" prepare --mask=_mask.nii.gz --out=work/cohort --shard=\"$n\"/8 -- bids\ndone\n\
             \"$voxplain\" merge -- work/cohort\n"
        ));
        assert!(text.contains("for n in 1 2 3 4 5; do\n    \"$voxplain\" train"));
        assert!(
            text.ends_with("# regions2\n\"$voxplain\" regions --atlas=b.nii.gz --out=b.tsv -- work/sex\n"),
            "{text}"
        );
    }
}
