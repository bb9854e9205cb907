//! A plan as a Snakefile.

use super::{Plan, Resources, Stage, line, made_from, with};

/// The file. Each task leaves an empty file in `.voxplain-plan`, by which Snakemake knows that it was done.
pub(crate) fn file(plan: &Plan) -> String {
    let Resources { cpus, memory, minutes } = plan.resources;
    let mut text = format!(
        r#"{}
#
#   snakemake --snakefile THIS_FILE --cores 8                      on this machine
#   snakemake --snakefile THIS_FILE --executor slurm --jobs 50     as jobs (snakemake-executor-plugin-slurm)
#
# What is there is not made again, by Snakemake or by voxplain.
import os

workdir: {}

VOXPLAIN = os.environ.get("VOXPLAIN", "voxplain")

resources_of_a_task = dict(mem_mb={memory}, runtime={minutes})


rule all:
    input: {}
"#,
        made_from(plan, "A plan for Snakemake (8 or later)"),
        python(&plan.folder.display().to_string()),
        python(&plan.stages.last().map_or_else(String::new, done)),
    );
    let mut before = String::new();
    for stage in &plan.stages {
        let Stage { name, shards, merge, .. } = stage;
        let waits = if before.is_empty() { String::new() } else { format!("    input: {before}\n") };
        let general = "**resources_of_a_task".to_owned();
        let sized =
            (stage.resources).map_or(general.clone(), |of| format!("mem_mb={}, runtime={}", of.memory, of.minutes));
        let rule = |name: &str, (output, resources): (&str, &str), input: &str, command: &str| {
            format!(
                "\n\nrule {name}:\n{input}    output: touch({})\n    threads: {cpus}\n    resources: {resources}\n    shell: {}\n",
                python(output),
                python(command)
            )
        };
        // What Snakemake fills in: a word of its own each, that nothing else is.
        let command = |words: &[String]| {
            escaped(&line("@", words))
                .replacen('@', "{VOXPLAIN}", 1)
                .replace("--threads=@", "--threads={threads}")
                .replace("--shard=@", "--shard={wildcards.shard}")
        };
        if !stage.why.is_empty() {
            text += &format!("\n\n{}", stage.comment().trim_end());
        }
        match shards {
            Some(shards) => {
                let shard = format!("--shard=@/{shards}");
                let part = format!(".voxplain-plan/{name}-{{shard}}.done");
                text +=
                    &rule(&format!("{name}_part"), (&part, &sized), &waits, &command(&stage.with(&[&shard, THREADS])));
                let parts = format!("    input: expand({}, shard=range(1, {}))\n", python(&part), shards + 1);
                // Parts that lie side by side need no more than to be there.
                let together =
                    merge.as_ref().map_or_else(|| "true".to_owned(), |words| command(&with(words, &[THREADS])));
                text += &rule(name, (&done(stage), &general), &parts, &together);
            }
            None => text += &rule(name, (&done(stage), &sized), &waits, &command(&stage.with(&[THREADS]))),
        }
        before = python(&done(stage));
    }
    text
}

const THREADS: &str = "--threads=@";

fn done(stage: &Stage) -> String {
    format!(".voxplain-plan/{}.done", stage.name)
}

/// Braces that are no wildcards.
fn escaped(command: &str) -> String {
    command.replace('{', "{{").replace('}', "}}")
}

/// A text as Python writes it.
fn python(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::tests::plan;

    #[test]
    fn every_stage_is_a_rule_that_waits_for_the_one_before() {
        let text = file(&plan());
        for expected in [
            "rule all:\n    input: \".voxplain-plan/regions2.done\"\n",
            "rule prepare_part:\n    output: touch(\".voxplain-plan/prepare-{shard}.done\")\n    threads: 4\n",
            "shell: \"{VOXPLAIN} prepare --mask=_mask.nii.gz --out=work/cohort --shard={wildcards.shard}/8 --threads={threads} -- bids\"\n",
            "rule prepare:\n    input: expand(\".voxplain-plan/prepare-{shard}.done\", shard=range(1, 9))\n",
            "shell: \"{VOXPLAIN} merge --threads={threads} -- work/cohort\"\n",
            "rule compare:\n    input: expand(\".voxplain-plan/compare-{shard}.done\", shard=range(1, 9))\n",
            "shell: \"{VOXPLAIN} compare --design=label --threads={threads} -- work/sex\"\n",
            "rule train_part:\n    input: \".voxplain-plan/prepare.done\"\n",
            "rule explain:\n    input: expand(\".voxplain-plan/explain-{shard}.done\", shard=range(1, 9))\n",
            "rule group:\n    input: \".voxplain-plan/explain.done\"\n",
            "'--atlas=sub/{{id}}.nii.gz'",
        ] {
            assert!(text.contains(expected), "{expected}\n{text}");
        }
    }
}
