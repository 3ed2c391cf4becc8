using System.Text.Json;
using System.Text.RegularExpressions;

namespace Trainer.Cli.Tests;

/// <summary>Which package brings libtorch to which platform, and what `gpu.sh --pack` builds. Nothing is restored or built.</summary>
public sealed partial class BuildTests
{
    [Theory]
    [InlineData("linux-x64", false, "libtorch-cpu-linux-x64")]
    [InlineData("linux-x64", true, "TorchSharp-cuda-linux")]
    [InlineData("win-x64", true, "TorchSharp-cuda-windows")]
    [InlineData("osx-arm64", false, "libtorch-cpu-osx-arm64")]
    public void One_package_brings_libtorch(string platform, bool cuda, string package)
    {
        var outcome = Evaluate(platform, cuda, "-getItem:PackageReference");
        Assert.True(outcome.ExitCode == 0, outcome.Output + outcome.Error);
        using var answer = JsonDocument.Parse(outcome.Output);
        var names = answer.RootElement.GetProperty("Items").GetProperty("PackageReference").EnumerateArray()
            .Select(item => item.GetProperty("Identity").GetString()!);
        Assert.Equal([package], names.Where(name => name.Contains("torch", StringComparison.OrdinalIgnoreCase)));
    }

    [Theory]
    [InlineData("linux-arm64", false, "linux-arm64 has no libtorch package; these have: linux-x64, win-x64, win-arm64, osx-arm64.")]
    [InlineData("linux-arm64", true, "linux-arm64 has no libtorch package with CUDA; these have: linux-x64, win-x64.")]
    [InlineData("osx-arm64", true, "osx-arm64 has no libtorch package with CUDA; these have: linux-x64, win-x64.")]
    public void A_platform_without_a_package_is_refused_with_one_line(string platform, bool cuda, string message)
    {
        var outcome = Evaluate(platform, cuda, "-target:CheckLibTorchPlatform");
        Assert.Equal(1, outcome.ExitCode);
        var line = Assert.Single(outcome.Output.Split('\n', StringSplitOptions.RemoveEmptyEntries));
        Assert.Contains(message, line, StringComparison.Ordinal);
    }

    // As the SDK finds when it publishes one file (IL3000), which takes minutes.
    [Fact]
    public void No_assembly_is_asked_for_its_place_since_in_a_single_file_it_has_none()
    {
        var files = Directory.GetFiles(Path.Combine(Command.Repository, "src"), "*.cs", SearchOption.AllDirectories);
        Assert.NotEmpty(files);
        Assert.All(files, file => Assert.DoesNotMatch(PlaceOfAssembly(), File.ReadAllText(file)));
    }

    [GeneratedRegex(@"Assembly\b[^;]*\.(Location|CodeBase)\b")]
    private static partial Regex PlaceOfAssembly();

    private static Outcome Evaluate(string platform, bool cuda, string question) => Command.Run(
        "dotnet", ["msbuild", "Trainer.csproj", "-nologo", $"-p:RuntimeIdentifier={platform}", $"-p:Cuda={cuda}", question],
        new() { ["DOTNET_NOLOGO"] = "1", ["DOTNET_CLI_TELEMETRY_OPTOUT"] = "1" });
}
