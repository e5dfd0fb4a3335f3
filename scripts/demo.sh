#!/usr/bin/env bash
# The whole workflow once, on any machine: `make demo`. A second run repeats only what is missing or has changed.
# With --small (`make demo ARGS=--small`) it takes every step with a few pairs: a check of the path, not of the model.
set -euo pipefail
cd "$(dirname "$0")/.."
unset PYTHONDONTWRITEBYTECODE  # a dozen processes import the same packages: the first keeps what it compiles
crm_dedup=.venv/bin/crm-dedup

name=demo steps=105 decay=35 rows=150 data=data/splits
limit=()
case "${1:-}" in
  "") ;;
  --small) name=demo-small steps=4 decay=1 rows=30; limit=(--limit 8) ;;
  *) echo "error: unknown option $1: the demo takes --small or nothing" >&2; exit 2 ;;
esac
tuned=$name/smollm2-135m
base=$tuned-base

logs=outputs/logs/$name
mkdir -p "$logs"

# Runs a command with its output in a log; prints how far it has come once a minute, and the end of the log if it fails.
logged() {
  local log=$logs/$1.log
  shift
  if ! "$@" 2>&1 | stdbuf -oL tr '\r' '\n' | progress "$log"; then
    tail -n 15 "$log" >&2
    echo "error: this step failed; $log has the details" >&2
    exit 1
  fi
}
progress() {
  local line shown=$SECONDS
  while IFS= read -r line; do
    printf '%s\n' "$line"
    if [[ $line =~ [0-9]+/[0-9]+\ \[[0-9:]+\<[0-9:]+ ]] && ((SECONDS - shown >= 60)); then
      printf '   %s left]\n' "${BASH_REMATCH[0]}" >&2
      shown=$SECONDS
    fi
  done >"$1"
}
step() { printf '\n== %s (%s)\n' "$1" "$(date +%H:%M:%S)"; }

step "1/6 get the base model"
$crm_dedup fetch
step "2/6 prepare the data in $data"
$crm_dedup prepare
step "3/6 train and merge, $steps steps (105 take up to 15 minutes on two cores)"
# Every pair once, in small steps, with a learning rate that falls late: this teaches most in a few minutes.
$crm_dedup train smollm2-135m --name "$tuned" --num_epochs=1 --max_steps=$steps --micro_batch_size=8 --lora_r=16 --lora_alpha=32 \
  --lr_scheduler_kwargs__num_decay_steps=$decay --warmup_ratio=0.05 --save_steps=25 --crm_dedup_decision_weight=1 \
  --pad_to_multiple_of=8 --dataloader_num_workers=2
step "4/6 measure the base model"
logged kpi-base $crm_dedup kpi "$base" --model outputs/smollm2-135m-base --tasks crm_dedup "${limit[@]}"
step "5/6 measure the fine-tuned model; also with the records swapped and with instructions hidden in them"
logged kpi $crm_dedup kpi "$tuned" --tasks crm_dedup_swapped crm_dedup_injected "${limit[@]}"
step "base and fine-tuned model on the same test pairs"
$crm_dedup table "$base" "$tuned"
printf '\nThe results are in outputs/results/%s/.\n' "$name"
step "6/6 match a CRM export of $rows invented contacts with the model that comes with the package"
$crm_dedup synth --export "$rows" --crm hubspot --out "data/$name-export.csv"
$crm_dedup match "data/$name-export.csv" --run "$name" --explain 5
