namespace Trainer.Cli.Tests.Setup;

/// <summary>What a build says when libtorch is not there: one line, before any compiler starts.</summary>
public class NativeBuildTests
{
    [Fact]
    public void WithoutLibTorchTheBuildNamesTheRemedy() => AssertFails(
        "",
        "libtorch 2.6 or newer was not found. Run ./setup.sh, or set LIBTORCH to an unpacked libtorch.",
        "-p:_TorchRoot=/nowhere");

    [Fact]
    public void LIBTORCHThatPointsNowhereIsNamed() => AssertFails(
        "/nowhere/libtorch",
        "LIBTORCH is '/nowhere/libtorch', but no libtorch is there (include/torch/csrc/api/include/torch/version.h and lib/libtorch_cpu.so "
        + "are looked for). Set it to an unpacked libtorch 2.6 or newer, or unset it and run ./setup.sh.");

    [Fact]
    public void AnOldLibTorchIsRefusedWithBothVersions()
    {
        using var torch = new FakeLibTorch(2, 5, 1);

        AssertFails(torch.Root, $"libtorch in {torch.Root} is 2.5.1; 2.6 or newer is needed. Run ./setup.sh, or set LIBTORCH to an unpacked libtorch.");
    }

    [Fact]
    public void TheVersionIsFoundWhereNewerReleasesKeepIt()
    {
        using var torch = new FakeLibTorch(2, 14, 0);

        var outcome = Build(torch.Root, "-getProperty:_TorchVersion");

        Assert.Equal("2.14.0\n", outcome.Output);
    }

    private static void AssertFails(string libTorch, string message, params string[] options)
    {
        var outcome = Build(libTorch, options);

        Assert.Equal(1, outcome.ExitCode);
        var error = Assert.Single(outcome.Output.Split('\n', StringSplitOptions.RemoveEmptyEntries), line => line.Contains("error"));
        Assert.Contains($": error : {message} [", error);
    }

    private static Outcome Build(string libTorch, params string[] options) => Command.Run(
        "dotnet",
        ["msbuild", "src/Torch/Trainer.Torch.csproj", "-t:RequireLibTorch", "-nologo", "-v:q", "-nodeReuse:false", .. options],
        new() { ["LIBTORCH"] = libTorch, ["DOTNET_CLI_UI_LANGUAGE"] = "en" });
}
