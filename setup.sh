#!/usr/bin/env bash
# Finds or installs what the build needs: libtorch 2.6 or newer, a C++ compiler, cmake and make. See --help.
set -euo pipefail

readonly needed_torch=2.6 needed_gcc=11 needed_cmake=3.18 needed_sdk=10
readonly trixie_sources=/etc/apt/sources.list.d/trainer-trixie.sources
readonly trixie_pin=/etc/apt/preferences.d/trainer-trixie

usage() {
  cat <<'HELP'
Usage: ./setup.sh [--check] [--gpu] [--help]

Finds or installs what the build needs: libtorch 2.6 or newer, g++, cmake and make. The .NET 10 SDK must be
there already. Running it again is safe; when nothing is missing it changes nothing.

  (no option)  report what is there, install what is missing
  --check      only report: exit 0 when everything is there, 1 when something is missing
  --gpu        ask for a libtorch with CUDA: installs Debian's where its sources offer it, else says how to get one
  --help       this text

libtorch is taken from LIBTORCH when that is set (an unpacked libtorch, or the torch folder of a pip installation),
else from /usr or /usr/local, else it is installed with apt: on Debian 13 from its own sources; on Debian 12 from
Debian 13's, added at priority 100 so that nothing else is taken from there unless it is asked for.

Exit codes: 0 everything is there; 1 something is missing (--check) or an installation failed; 2 the command line or
LIBTORCH is wrong, or this has to be done by hand: what to do is printed.
HELP
}

say() { printf '%s\n' "$*"; }
found() { printf '%-10s %s\n' "$1" "$2"; }
fail() {
  local code=$1
  shift
  printf 'setup.sh: %s\n' "$@" >&2
  exit "$code"
}
at_least() { [[ $(printf '%s\n' "$1" "$2" | sort -V | head -n 1) == "$2" ]]; }
has() { command -v "$1" >/dev/null 2>&1; }

# --- What is there -------------------------------------------------------------------------------------------------

missing=()  # what, for people
packages=() # what, for apt
torch_root='' torch_version='' torch_library=''

lacks() { # what is missing, the packages that bring it
  found "$1" "missing${3:+: $3}"
  missing+=("$1")
  read -r -a names <<<"$2"
  packages+=("${names[@]}")
}

check_sdk() {
  local version=''
  if has dotnet; then
    version=$(dotnet --list-sdks 2>/dev/null | sed -n "s/^\($needed_sdk\.[^ ]*\) .*/\1/p" | tail -n 1)
  fi
  if [[ $version ]]; then
    found '.NET SDK' "$version"
  else
    lacks '.NET SDK' '' "version $needed_sdk is needed"
  fi
}

check_tool() { # command, package, oldest version that will do
  local version
  if ! has "$1"; then
    lacks "$1" "$2"
    return
  fi
  version=$("$1" --version | grep -Eo '[0-9]+(\.[0-9]+)+' | head -n 1)
  if at_least "$version" "$3"; then
    found "$1" "$version"
  else
    lacks "$1" "$2" "$version is too old, $3 or newer is needed"
  fi
}

# Opened while reading .zst files and Parquet; every Debian has it, since dpkg needs it.
check_zstd() {
  local library
  for library in /usr/lib/*-linux-gnu/libzstd.so.1 /lib/*-linux-gnu/libzstd.so.1 /usr/lib64/libzstd.so.1 /usr/lib/libzstd.so.1 /usr/local/lib/libzstd.so.1; do
    [[ ! -e $library ]] || return 0
  done
  lacks libzstd libzstd1
}

# Looks for libtorch in one folder; sets torch_root, torch_version and torch_library.
find_torch_in() {
  local header numbers
  torch_root=${1%/} torch_version='' torch_library=''
  for header in torch/headeronly/version.h torch/csrc/api/include/torch/version.h; do
    [[ ! $torch_version && -r $torch_root/include/$header ]] || continue
    numbers=$(sed -nE 's/^#define TORCH_VERSION_(MAJOR|MINOR|PATCH) +([0-9]+).*/\2/p' "$torch_root/include/$header")
    torch_version=${numbers//$'\n'/.}
  done
  for torch_library in "$torch_root"/lib/libtorch_cpu.so "$torch_root"/lib/*-linux-gnu/libtorch_cpu.so; do
    [[ -e $torch_library ]] && break
  done
  [[ $torch_version && -e $torch_library ]]
}

torch_has_cuda() { [[ -e ${torch_library%/*}/libtorch_cuda.so ]]; }

check_torch() {
  local wanted=libtorch-dev
  [[ ! $gpu ]] || wanted=libtorch-cuda-dev

  if [[ ${LIBTORCH:-} ]]; then
    find_torch_in "$LIBTORCH" || wrong_torch "LIBTORCH is '$LIBTORCH', but no libtorch is there (include/torch/csrc/api/include/torch/version.h and lib/libtorch_cpu.so are looked for)"
    at_least "$torch_version" "$needed_torch" || wrong_torch "LIBTORCH is '$LIBTORCH', but that libtorch is $torch_version; $needed_torch or newer is needed"
    if [[ $gpu ]] && ! torch_has_cuda; then
      wrong_torch "LIBTORCH is '$LIBTORCH', but that libtorch $torch_version was built without CUDA"
    fi
  elif ! find_torch_in /usr && ! find_torch_in /usr/local; then
    lacks libtorch "$wanted libopenblas0-openmp"
    return
  elif ! at_least "$torch_version" "$needed_torch"; then
    lacks libtorch "$wanted libopenblas0-openmp" "$torch_version in $torch_root is too old, $needed_torch or newer is needed"
    return
  elif [[ $gpu ]] && ! torch_has_cuda; then
    lacks libtorch "$wanted libopenblas0-openmp" "$torch_version in $torch_root is built without CUDA"
    return
  elif [[ $torch_root == /usr ]] && half_installed libtorch-dev; then
    lacks libtorch "$wanted libopenblas0-openmp" "its installation was interrupted"
    return
  fi

  if torch_has_cuda; then
    found libtorch "$torch_version in $torch_root, with CUDA"
    check_cuda_headers
  else
    found libtorch "$torch_version in $torch_root, CPU only"
  fi
  [[ $torch_root != /usr ]] || check_blas
}

wrong_torch() {
  local advice="Set it to an unpacked libtorch $needed_torch or newer${gpu:+ with CUDA}, or unset it."
  if [[ $check ]]; then
    found libtorch "missing: $1. $advice"
    exit 1
  fi
  fail 2 "$1. $advice"
}

half_installed() {
  local status
  status=$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null) || return 1
  [[ $status != installed && $status != not-installed && $status != config-files ]]
}

# Debian's libtorch multiplies matrices with whatever libblas.so.3 is; the reference one is many times slower.
check_blas() {
  local blas=${torch_library%/*}/libblas.so.3
  if [[ ! -e $blas ]]; then
    lacks BLAS libopenblas0-openmp
    return
  fi
  blas=$(readlink -f "$blas")
  case $blas in
    */openblas-openmp/*) found BLAS 'OpenBLAS (OpenMP)' ;;
    */blas/libblas.so.*) lacks BLAS libopenblas0-openmp 'only the slow reference implementation is there' ;;
    *) found BLAS "$blas (your choice; tested with libopenblas0-openmp, see update-alternatives --display libblas.so.3-$(uname -m)-linux-gnu)" ;;
  esac
}

# A shim for CUDA includes cuda_runtime_api.h; the unpacked libtorch does not bring it, the nvidia packages of pip do.
check_cuda_headers() {
  local folder
  for folder in "$torch_root"/../nvidia/*/include "$torch_root"/include "${CUDA_HOME:-}"/include "${CUDA_PATH:-}"/include /usr/local/cuda/include /usr/include; do
    [[ ! -e $folder/cuda_runtime_api.h ]] || return 0
  done
  fail "$([[ $check ]] && echo 1 || echo 2)" "libtorch in $torch_root is built with CUDA, but cuda_runtime_api.h was not found. Install the headers of the CUDA runtime (the CUDA toolkit; Debian: nvidia-cuda-dev), or set CUDA_HOME."
}

# --- Installing with apt -------------------------------------------------------------------------------------------

as_root() {
  if [[ $EUID -eq 0 ]]; then
    "$@"
  else
    sudo "$@"
  fi
}

apt_get() {
  as_root env DEBIAN_FRONTEND=noninteractive NEEDRESTART_MODE=l apt-get -q -y \
    -o DPkg::Lock::Timeout=300 -o Dpkg::Options::=--force-confold "$@"
}

# Runs a step silently; when it fails, shows the end of what it printed.
step() { # what failed, command …
  local what=$1 log
  shift
  log=$(mktemp)
  if ! "$@" >"$log" 2>&1; then
    tail -n 25 "$log" >&2
    rm -f "$log"
    fail 1 "$what (the end of its output is above). Running ./setup.sh again continues from here."
  fi
  rm -f "$log"
}

update_lists() {
  local output
  say 'Updating the package lists (apt-get update) …'
  if ! output=$(apt_get update 2>&1) || [[ $output == *'Failed to fetch'* ]]; then
    printf 'apt-get update reported errors; going on with the lists there are:\n' >&2
    grep -E '^[EW]:' <<<"$output" | head -n 3 >&2 || true
  fi
  [[ $(apt_suites) ]] || fail 1 'apt has no package lists (see above): look at the network and at the sources in /etc/apt.'
}

# The suites in apt's sources as "address suite codename", whatever their format and mirror. Empty before the first update.
# shellcheck disable=SC2016  # the names are apt's, not the shell's
apt_suites() { apt-get indextargets --format '$(REPO_URI) $(RELEASE) $(CODENAME)' 'Created-By: Packages' | sort -u; }

# shellcheck source=/dev/null
is_debian() { [[ -r /etc/os-release && $(. /etc/os-release && echo "${ID:-}") == debian ]] && has apt-get; }

# The suite this system follows. os-release alone does not tell: libtorch from Debian 13 upgrades base-files, and
# from then on Debian 12 calls itself 13.
debian_suite() {
  local codename
  # shellcheck source=/dev/null
  codename=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
  if apt_suites | grep -qE ' bookworm( |$)'; then
    codename=bookworm
  fi
  case $codename in
    bookworm | trixie) echo "$codename" ;;
    buster | bullseye) return 1 ;;
    *) echo newer ;;
  esac
}

# Adds Debian 13 beside Debian 12, from the same mirror. The pin is written first: sources without it would upgrade the system.
add_trixie() {
  local mirror
  if apt_suites | grep -qE ' trixie( |$)'; then
    say 'Debian 13 (trixie) is among the sources of apt already.'
    return
  fi
  mirror=$(apt_suites | sed -nE 's/^([^ ]+) bookworm( .*)?$/\1/p; s/^([^ ]+) [^ ]+ bookworm$/\1/p' | head -n 1)
  [[ $mirror ]] || fail 1 'the sources of apt name no mirror for bookworm, so there is none to take trixie from.'
  say "Adding Debian 13 (trixie) from $mirror at priority 100: $trixie_pin, $trixie_sources"
  printf '%s\n' 'Package: *' 'Pin: release n=trixie' 'Pin-Priority: 100' | as_root tee "$trixie_pin" >/dev/null
  printf '%s\n' 'Types: deb' "URIs: $mirror" 'Suites: trixie' 'Components: main' \
    'Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg' | as_root tee "$trixie_sources" >/dev/null
  update_lists
}

# Debian 12 takes a package from trixie when it has to: libtorch, and whatever must match the C library that came with it.
from_trixie() {
  [[ $suite == bookworm ]] || return 1
  [[ " ${packages[*]} " == *' libtorch'* || " ${packages[*]} " == *' libopenblas'* ]] ||
    at_least "$(dpkg-query -W -f '${Version}' libc6)" 2.37
}

candidate() { apt-cache "${release[@]}" policy "$1" | sed -n 's/^ *Candidate: //p'; }

check_candidates() {
  local package version
  for package in "${packages[@]}"; do
    version=$(candidate "$package")
    [[ $version && $version != '(none)' ]] || fail 1 "the sources of apt have no $package. Look at what 'apt-get update' says."
    [[ $package != libtorch* ]] || at_least "$version" "$needed_torch" ||
      fail 1 "the sources of apt have $package $version; $needed_torch or newer is needed. Set LIBTORCH to an unpacked libtorch instead."
  done
}

# Says what apt is about to do, before it does it: on Debian 12 it upgrades the C library and removes what cannot follow (gdb).
announce() {
  local plan upgraded removed
  plan=$(apt-get -s "${release[@]}" install --no-install-recommends "${packages[@]}" 2>&1) ||
    fail 1 "apt cannot install ${packages[*]}:" "$(tail -n 15 <<<"$plan")"
  upgraded=$(sed -nE 's/^Inst ([^ ]+) \[.*/\1/p' <<<"$plan" | sort -u)
  removed=$(sed -nE 's/^Remv ([^ ]+) .*/\1/p' <<<"$plan" | sort -u)
  [[ ! $upgraded ]] || say "It upgrades $(wc -l <<<"$upgraded") packages that are installed: $(paste -sd ' ' <<<"$upgraded" | cut -c 1-300)"
  [[ ! $removed ]] || say "WARNING: it removes $(paste -sd ' ' <<<"$removed")"
}

install_packages() {
  if [[ $(as_root dpkg --audit) || $(ls /var/lib/dpkg/updates) ]]; then
    say 'Finishing an installation that was interrupted (dpkg --configure -a) …'
    as_root env DEBIAN_FRONTEND=noninteractive dpkg --force-confold --configure -a >/dev/null 2>&1 || true
    step 'apt could not repair the interrupted installation' apt_get --fix-broken --no-install-recommends install
  fi
  if from_trixie; then
    add_trixie
    release=(-t trixie)
  fi
  check_candidates
  say "Installing ${packages[*]} (apt-get install${release[*]:+ ${release[*]}} --no-install-recommends, about a minute) …"
  announce
  step "apt could not install ${packages[*]}" apt_get "${release[@]}" install --no-install-recommends "${packages[@]}"
}

# --- What only a person can do -------------------------------------------------------------------------------------

explain_sdk() {
  local hint=''
  [[ ! -x $HOME/.dotnet/dotnet ]] || hint=" There is one in $HOME/.dotnet; if that is version $needed_sdk, put the folder on PATH."
  fail 2 "the .NET $needed_sdk SDK was not found (dotnet --list-sdks).$hint Install it from https://dotnet.microsoft.com/download/dotnet/$needed_sdk.0 and run ./setup.sh again."
}

explain_gpu() {
  cat >&2 <<'TEXT'
setup.sh: no CUDA libtorch can be installed from this system's package sources. Either
  - Debian 13: add the components contrib and non-free to its sources and run ./setup.sh --gpu again; that installs
    libtorch-cuda-dev in place of libtorch-dev (2.5 GB to download, 7 GB on disk, and cuDNN, which its package fetches
    from NVIDIA);
  - or: python3 -m venv torch && torch/bin/pip install torch
        export LIBTORCH="$(echo "$PWD"/torch/lib/python3*/site-packages/torch)"
  - or download LibTorch (C++, CUDA) from https://pytorch.org/get-started/locally, unpack it, install the headers of the
    CUDA runtime of the same version, and export LIBTORCH=<the unpacked folder>;
then run ./setup.sh --gpu again. The NVIDIA driver is needed too.
TEXT
  exit 2
}

explain_by_hand() {
  local name
  # shellcheck source=/dev/null
  name=$(. /etc/os-release 2>/dev/null && echo "${PRETTY_NAME:-}") || true
  {
    say "setup.sh: this system (${name:-unknown}) is not Debian 12 or newer, so nothing was installed. Install by hand: ${missing[*]}"
    say "  g++ $needed_gcc, cmake $needed_cmake and make, or newer: from the system's own packages"
    say "  libzstd 1.4 or newer (libzstd.so.1), also from the system's packages"
    say "  libtorch $needed_torch or newer: download LibTorch (C++) from https://pytorch.org/get-started/locally and unpack it, or"
    say "  pip install torch; then export LIBTORCH=<the unpacked folder, or site-packages/torch>"
    say 'and run ./setup.sh --check again.'
  } >&2
  exit 2
}

# --- The command ---------------------------------------------------------------------------------------------------

check='' gpu=''
for argument in "$@"; do
  case $argument in
    --help | -h) usage && exit 0 ;;
    --check) check=yes ;;
    --gpu) gpu=yes ;;
    *) fail 2 "unknown option '$argument'; allowed: --check, --gpu, --help." ;;
  esac
done

look() {
  missing=() packages=()
  check_sdk
  check_tool g++ g++ "$needed_gcc"
  check_tool cmake cmake "$needed_cmake"
  check_tool make make 3
  has flock || lacks flock util-linux
  check_zstd
  check_torch
}

# dotnet run shows nothing while it builds, so the wait is announced here.
finish() {
  local shims=("$(dirname "${BASH_SOURCE[0]}")"/artifacts/native/*/libtrainer_native.so)
  say 'Everything is there. Next: dotnet test'
  [[ -e ${shims[0]} ]] || say 'The first build compiles the native shim, which takes a minute or two.'
}

look
if [[ ${#missing[@]} -eq 0 ]]; then
  finish
  exit 0
fi
[[ ! $check ]] || fail 1 "missing: $(printf '%s, ' "${missing[@]}" | sed 's/, $//'). Run ./setup.sh${gpu:+ --gpu} to install."
[[ " ${missing[*]} " != *' .NET SDK '* ]] || explain_sdk

is_debian || explain_by_hand
if [[ $EUID -ne 0 ]] && ! has sudo; then
  fail 2 "installing ${packages[*]} needs root, and there is no sudo. Run ./setup.sh as root."
fi
release=()
update_lists
suite=$(debian_suite) || explain_by_hand
if [[ $gpu && " ${packages[*]} " == *' libtorch-cuda-dev '* ]]; then
  [[ $suite != bookworm && $(candidate libtorch-cuda-dev) =~ ^[0-9] ]] || explain_gpu
fi
install_packages

say 'Looking again:'
look
[[ ${#missing[@]} -eq 0 ]] || fail 1 "still missing after the installation: ${missing[*]}."
finish
