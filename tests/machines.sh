#!/usr/bin/env bash
# Trains by two processes on two simulated machines: network namespaces with addresses and names of their own, between which Open MPI talks
# over TCP. Then cuts the link in the middle of a run, which has to end with a message, and resumes it.
# Needs root, iproute2 and Open MPI, and a built program; takes a minute.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
readonly program=$PWD/artifacts/bin/Trainer/debug/Trainer.dll work=$(mktemp -d)
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMP_NUM_THREADS=1

on() { ip netns exec "trainer-$1" unshare --uts sh -c "hostname $1; $2"; }
cleanup() {
  ip netns pids trainer-one 2>/dev/null | xargs -r kill -KILL || true
  ip netns pids trainer-two 2>/dev/null | xargs -r kill -KILL || true
  ip netns del trainer-one 2>/dev/null || true
  ip netns del trainer-two 2>/dev/null || true
  rm -rf "$work"
}
trap cleanup EXIT


ip netns add trainer-one
ip netns add trainer-two
ip link add trainer-a netns trainer-one type veth peer name trainer-b netns trainer-two
ip -n trainer-one addr add 10.77.0.1/24 dev trainer-a
ip -n trainer-two addr add 10.77.0.2/24 dev trainer-b
for name in one two; do ip -n "trainer-$name" link set lo up; done
ip -n trainer-one link set trainer-a up
ip -n trainer-two link set trainer-b up

# What stands in for ssh: mpirun gives an address and a command.
cat >"$work/agent" <<'AGENT'
#!/bin/sh
case $1 in 10.77.0.1) name=one ;; *) name=two ;; esac
shift
exec ip netns exec "trainer-$name" unshare --uts sh -c "hostname $name; $*"
AGENT
chmod +x "$work/agent"

for i in $(seq 400); do echo "the model reads token $((i * 7919 % 101)) and returns value $((i * 104729 % 97))"; done >"$work/text.txt"
cat >"$work/small.json" <<'RECIPE'
{
  "name": "small",
  "model": { "architecture": "decoder", "dim": 64, "layers": 2, "contextLength": 32, "attention": { "type": "multi-head", "heads": 4 } },
  "tokenizer": { "type": "character" },
  "data": { "train": [ { "path": "text.txt" } ] },
  "training": { "steps": 100000, "batchSize": 8, "device": "cpu", "collectiveTimeout": 5 },
  "schedule": { "type": "constant", "warmupSteps": 0 },
  "evaluation": { "every": 0 }, "checkpoint": { "every": 50 }, "monitoring": { "logEvery": 50 }
}
RECIPE

train() { # run, further settings
  on one "cd $work && exec mpirun.openmpi --host 10.77.0.1:1,10.77.0.2:1 -n 2 -wdir $work --mca plm_rsh_agent $work/agent \
    --mca btl tcp,self --mca btl_tcp_if_include 10.77.0.0/24 --mca oob_tcp_if_include 10.77.0.0/24 \
    --mca oob_tcp_keepalive_time 3 --mca oob_tcp_keepalive_intvl 1 --mca oob_tcp_keepalive_probes 3 -x OMP_NUM_THREADS \
    $(command -v dotnet) $program train small.json --run $1 --resume --set $2"
}
losses() { grep -o '"step":[0-9]*\|"loss":[0-9.e-]*' "$work/$1/metrics.jsonl" | paste -d' ' - -; }

echo '== two machines against one'
train two training.steps=200 2>&1 | grep -E 'processes|steps'
(cd "$work" && OMP_NUM_THREADS=2 dotnet "$program" train small.json --run one --set training.steps=200 2>/dev/null)
diff <(losses one) <(losses two) && echo 'the same losses'

echo '== the link is cut'
train cut training.steps=100000 >"$work/cut.log" 2>&1 &
until [[ -e $work/cut/checkpoints/last ]]; do sleep 0.2; done
cut=$SECONDS
ip -n trainer-two link set trainer-b down
code=0
wait $! || code=$?
echo "ended with exit code $code after $((SECONDS - cut)) s"
grep -E 'took longer|does not answer|lost|unreachable|communication' "$work/cut.log" | head -3
[[ $code -ne 0 ]]
[[ -z $(ip netns pids trainer-two) ]] || { sleep 10; [[ -z $(ip netns pids trainer-two) ]]; }

echo '== and resumed'
ip -n trainer-two link set trainer-b up
step=$(sed 's/step-0*//' "$work/cut/checkpoints/last")
train cut "training.steps=$((step + 50))" 2>&1 | tail -1
