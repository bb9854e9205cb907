//! A script that submits a plan to SLURM.

use super::{Plan, Resources, Stage, line, made_from};
use crate::shell::quoted;

/// The script. Run by a person it submits a job for each stage; run by SLURM (`--task`) it does a task.
pub(crate) fn script(plan: &Plan) -> String {
    let Resources { cpus, memory, minutes } = plan.resources;
    let mut text = format!(
        r#"#!/bin/bash
{}
#
# Read it, set what your cluster asks for (partition, account), then: bash THIS_FILE
# Each stage waits until the one before has ended well. Submit it again after a failure: what is there is not made again.
# voxplain is looked for in PATH; VOXPLAIN=/path/to/voxplain names another one.
set -euo pipefail

# Settings of every task, but where others stand before `submit`. sbatch reads more of them from SBATCH_PARTITION, SBATCH_ACCOUNT and the like.
cpus={cpus}
memory={memory}M
time={}
logs=slurm-logs
tries=3 # how often a task is put back into the queue where trying again may help, or its time was up

# A task: SIGTERM, two minutes before the time is up, is handed on, so that voxplain saves and ends. Exit status 75 says that trying again may help,
# 130 that it was stopped; what is finished is kept.
if [ "${{1:-}}" = --task ]; then
    shift
    "$@" &
    child=$!
    trap 'kill -TERM $child 2>/dev/null || true' TERM
    status=0
    wait "$child" || status=$?
    while kill -0 "$child" 2>/dev/null; do
        status=0
        wait "$child" || status=$?
    done
    trap - TERM
    if [ "$status" = 75 ] || [ "$status" = 130 ]; then
        if [ "${{SLURM_RESTART_COUNT:-0}}" -lt "$tries" ]; then
            id=${{SLURM_ARRAY_JOB_ID:+${{SLURM_ARRAY_JOB_ID}}_$SLURM_ARRAY_TASK_ID}}
            scontrol requeue "${{id:-$SLURM_JOB_ID}}"
            sleep 60 # until SLURM takes the task away
        fi
    fi
    exit "$status"
fi

this=$(realpath "${{BASH_SOURCE[0]}}")
cd {}
voxplain=${{VOXPLAIN:-voxplain}}
command -v "$voxplain" >/dev/null || {{ echo "$voxplain is not there: set VOXPLAIN or PATH" >&2; exit 1; }}
mkdir -p "$logs"
before=

# submit NAME RANGE COMMAND...: a job, or an array of jobs (RANGE as in 1-8, or -), after the one before.
submit() {{
    local name=$1 range=$2 array=() after=()
    shift 2
    local log=$logs/$name-%j.log
    if [ "$range" != - ]; then
        array=(--array="$range") log=$logs/$name-%A-%a.log
    fi
    [ -z "$before" ] || after=(--dependency="afterok:$before" --kill-on-invalid-dep=yes)
    before=$(sbatch --parsable --requeue --open-mode=append --job-name="voxplain-$name" --output="$log" --cpus-per-task="$cpus" \
        --mem="$memory" --time="$time" --signal=B:TERM@120 "${{array[@]}}" "${{after[@]}}" "$this" --task "$@" | cut -d';' -f1)
    echo "$name: job $before"
}}

"#,
        made_from(plan, "Jobs for SLURM"),
        hours(minutes),
        quoted(&plan.folder.display().to_string()),
    );
    for stage in &plan.stages {
        let Stage { name, shards, merge, .. } = stage;
        let sized =
            stage.resources.map_or_else(String::new, |of| format!("memory={}M time={} ", of.memory, hours(of.minutes)));
        text += &stage.comment();
        match shards {
            Some(shards) => {
                text += &format!(
                    "{sized}submit {name} 1-{shards} {}\n",
                    line("\"$voxplain\"", &stage.with(&["--shard=auto"]))
                );
            }
            None => text += &format!("{sized}submit {name} - {}\n", line("\"$voxplain\"", &stage.words)),
        }
        if let Some(words) = merge {
            text += &format!("submit {name}-merge - {}\n", line("\"$voxplain\"", words));
        }
    }
    text
}

/// Minutes as SLURM writes them, `1-02:30:00`.
fn hours(minutes: u64) -> String {
    let (days, hours, minutes) = (minutes / 1440, minutes / 60 % 24, minutes % 60);
    let rest = format!("{hours:02}:{minutes:02}:00");
    if days > 0 { format!("{days}-{rest}") } else { rest }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::tests::plan;

    #[test]
    fn every_stage_is_submitted_in_its_order() {
        let text = script(&plan());
        let submitted: Vec<&str> = text.lines().filter(|line| line.starts_with("submit ")).collect();
        assert_eq!(
            submitted,
            [
                "submit prepare 1-8 \"$voxplain\" prepare --mask=_mask.nii.gz --out=work/cohort --shard=auto -- bids",
                "submit prepare-merge - \"$voxplain\" merge -- work/cohort",
                "submit train 1-5 \"$voxplain\" train --folds=5 --label=sex --out=work/sex --shard=auto -- work/cohort",
                "submit train-merge - \"$voxplain\" train --folds=5 --label=sex --out=work/sex -- work/cohort",
                "submit explain 1-8 \"$voxplain\" explain --method=saliency --shard=auto -- work/sex",
                "submit group - \"$voxplain\" group -- work/sex",
                "submit compare 1-8 \"$voxplain\" compare --design=label --shard=auto -- work/sex",
                "submit compare-merge - \"$voxplain\" compare --design=label -- work/sex",
                "submit regions - \"$voxplain\" regions '--atlas=sub/{id}.nii.gz' --out=a.tsv -- work/sex",
                "submit regions2 - \"$voxplain\" regions --atlas=b.nii.gz --out=b.tsv -- work/sex",
            ]
        );
        let mut measured = plan();
        measured.stages[1].resources = Some(Resources { memory: 1024, minutes: 75, ..measured.resources });
        measured.stages[1].why = vec!["time: so long".into()];
        let text_of_it = script(&measured);
        assert!(
            text_of_it
                .contains("\n# train: time: so long\nmemory=1024M time=01:15:00 submit train 1-5 \"$voxplain\" train "),
            "{text_of_it}"
        );
        assert!(text_of_it.contains("\nsubmit train-merge - "), "{text_of_it}");
        assert!(text.contains("\ncd '/data/it'\\''s here'\n") && text.contains("\ntime=01:30:00\n"));
        assert_eq!((hours(1590).as_str(), hours(5).as_str()), ("1-02:30:00", "00:05:00"));
    }
}
