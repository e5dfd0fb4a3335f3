#!/usr/bin/env bash
# The main job, once, on any machine: `make demo`. Run again, it redoes only what is missing or has changed.
set -euo pipefail
cd "$(dirname "$0")/.."
crm_dedup=.venv/bin/crm-dedup

step() { printf '\n== %s (%s)\n' "$1" "$(date +%H:%M:%S)"; }

step "1/5 the base model"
$crm_dedup fetch
step "2/5 the data"
$crm_dedup prepare
step "3/5 training and merging: up to 15 minutes on two cores"
# Every pair once, small steps, and a rate that falls late: what teaches most in a few minutes.
$crm_dedup train smollm2-135m --name demo/smollm2-135m --num_epochs=1 --max_steps=105 --micro_batch_size=8 --lora_r=16 --lora_alpha=32 \
  --lr_scheduler_kwargs__num_decay_steps=35 --warmup_ratio=0.05 --save_steps=25 --crm_dedup_decision_weight=1 \
  --pad_to_multiple_of=8 --dataloader_num_workers=2
measure=(--tasks crm_dedup_swapped crm_dedup_injected)
step "4/5 the base model, measured; also with the records swapped, and with instructions hidden in them"
$crm_dedup kpi demo/smollm2-135m-base --model outputs/smollm2-135m-base "${measure[@]}"
step "5/5 the fine-tuned model, measured in the same way"
$crm_dedup kpi demo/smollm2-135m "${measure[@]}"
step "base against fine-tuned, on the same test pairs"
$crm_dedup table demo/smollm2-135m-base demo/smollm2-135m
