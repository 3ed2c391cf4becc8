#!/usr/bin/env bash
# The README's two commands in a plain Debian that has the .NET SDK and git alone, as an ordinary user: how long it is from the clone to the
# first step, beside the download of packages, and which files outside the checkout and the user's own folders changed: none may.
# Usage: bare.sh <bookworm|trixie> [--test]     --test runs the second command, too, which takes a quarter of an hour
# Needs root, debootstrap and a network, and copies this machine's SDK, NuGet.Config and certificates. MIRROR is another Debian mirror.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
readonly suite=${1:?which Debian: bookworm or trixie} root=$(mktemp -d) log=$(mktemp) home=/home/user

cleanup() {
  umount --recursive --lazy "$root"/{dev,sys,proc} 2>/dev/null || true
  rm -rf --one-file-system "$root" "$log"
}
trap cleanup EXIT
within() { chroot "$root" setpriv --reuid=1000 --regid=1000 --clear-groups env -i HOME=$home PATH=/usr/bin:/bin DOTNET_NOLOGO=1 \
  DOTNET_CLI_TELEMETRY_OPTOUT=1 "${passed[@]}" bash -euo pipefail -c "cd $home; $1"; }
passed=()
for name in SSL_CERT_FILE NUGET_CERT_REVOCATION_MODE; do [[ ! ${!name:-} ]] || passed+=("$name=${!name}"); done

chmod 755 "$root" # mktemp makes it for root alone
# What Microsoft's package of the SDK depends on, and git.
packages=libicu72,libssl3
[[ $suite == bookworm ]] || packages=libicu76,libssl3t64
debootstrap --variant=minbase --include="ca-certificates,git,$packages,zlib1g,libstdc++6" "$suite" "$root" ${MIRROR:-} >"$log" ||
  { tail -n 3 "$log" >&2; exit 1; }
for place in proc sys dev; do mount --rbind --make-rslave "/$place" "$root/$place"; done
cp -a "$(dirname "$(realpath "$(command -v dotnet)")")" "$root/usr/share/dotnet"
ln -s ../share/dotnet/dotnet "$root/usr/bin/dotnet"
cp /etc/resolv.conf "$root/etc/resolv.conf"
cp /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/ca-certificates.crt"
mkdir -p "$root$home/.nuget/NuGet"
cp ~/.nuget/NuGet/NuGet.Config "$root$home/.nuget/NuGet/" 2>/dev/null || true
git clone --quiet --bare . "$root/srv/Trainer.git"
chown -R 1000:1000 "$root$home"
touch "$root/mark"
sleep 1

git config --file "$root$home/.gitconfig" safe.directory '*'
start=$SECONDS
within 'git clone --quiet /srv/Trainer.git Trainer'
cloned=$SECONDS
within 'cd Trainer && dotnet restore Trainer.csproj -v q'
restored=$SECONDS
within 'cd Trainer && dotnet run -- train configs/dotnet-docs.json --until 1' 2>&1 | tail -n 3
echo "$suite: $((cloned - start + SECONDS - restored)) s from the clone to the first step, besides $((restored - cloned)) s for packages"
if [[ ${2:-} == --test ]]; then within 'cd Trainer && .ci/run' 2>&1 | tail -n 1; fi

changed=$(find "$root" -xdev \( -path "$root$home" -o -path "$root/tmp" -o -path "$root/mark" \) -prune -o -newer "$root/mark" -type f -print)
echo "changed elsewhere: ${changed:-nothing}"
ls -A "$root$home" | sed 's/^/in the home folder: /'
[[ ! $changed ]]
