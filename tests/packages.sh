#!/usr/bin/env bash
# Packs the libraries and uses them from a program outside the repository, as docs/library.md says: builds it, runs it, publishes it, runs that.
# Takes a few minutes. Everything is in a temporary folder, the NuGet cache stays as it is.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export DOTNET_CLI_UI_LANGUAGE=en DOTNET_NOLOGO=1 DOTNET_CLI_TELEMETRY_OPTOUT=1 MSBUILDDISABLENODEREUSE=1

cache=$(dotnet nuget locals global-packages --list | sed 's/^global-packages: //')
dotnet pack "$root/Trainer.sln" -c Release -o "$work/feed" -v q --nologo

mkdir "$work/program"
cd "$work/program"
cat >nuget.config <<XML
<configuration>
  <config><add key="globalPackagesFolder" value="$work/packages" /></config>
  <fallbackPackageFolders><add key="cache" value="$cache" /></fallbackPackageFolders>
  <packageSources><add key="trainer" value="$work/feed" /></packageSources>
</configuration>
XML
cat >program.csproj <<'XML'
<Project Sdk="Microsoft.NET.Sdk">
  <PropertyGroup>
    <OutputType>Exe</OutputType>
    <TargetFramework>net10.0</TargetFramework>
    <ImplicitUsings>enable</ImplicitUsings>
    <UseCurrentRuntimeIdentifier>true</UseCurrentRuntimeIdentifier>
  </PropertyGroup>
  <ItemGroup>
    <PackageReference Include="Trainer.Inference" Version="0.1.0" />
  </ItemGroup>
</Project>
XML
cat >Program.cs <<'CS'
using Trainer.Checkpoints;
using Trainer.Data.Tokenizers;
using Trainer.Inference;
using Trainer.Models;
using Trainer.Models.Attention;

if (!Directory.Exists(args[0]))
{
    DecoderOptions options = new() { Dim = 32, Layers = 2, ContextLength = 64, Attention = new MultiHeadOptions { Heads = 2 } };
    using LanguageModel model = options.Build(256);
    CheckpointConfiguration configuration = new()
    {
        Name = "tiny", Model = options, Tokenizer = new ByteTokenizerOptions(), Data = new() { Train = [new() { Path = "none.txt" }] },
    };
    Checkpoint.Write(args[0], configuration, ByteTokenizer.Instance, model);
}
using var generator = TextGenerator.Open(args[0]);
string text = generator.Generate("ROMEO:", new() { Tokens = 40 });
Console.WriteLine($"{text.Length} characters");
CS

dotnet build -c Release -v q --nologo
dotnet bin/Release/net10.0/*/program.dll "${1:-$work/checkpoint}"
dotnet publish -c Release -v q --nologo -o "$work/published"
dotnet "$work/published/program.dll" "${1:-$work/checkpoint}"

# Without a platform there is no libtorch to bring: that is said, with the line to add.
sed -i '/UseCurrentRuntimeIdentifier/d' program.csproj
if dotnet build -c Release -v q --nologo -o "$work/none" >"$work/log"; then
  echo 'a program without a platform was built, and has no libtorch' >&2
  exit 1
fi
grep -q 'add <UseCurrentRuntimeIdentifier>true</UseCurrentRuntimeIdentifier> to program.csproj' "$work/log"
echo 'packages: built, run, published, run'
