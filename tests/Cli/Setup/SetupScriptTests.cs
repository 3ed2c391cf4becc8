using System.Diagnostics;

namespace Trainer.Cli.Tests.Setup;

/// <summary>setup.sh as far as it can be run without changing the machine.</summary>
public class SetupScriptTests
{
    private static readonly string Script = Path.Combine(Command.Repository, "setup.sh");

    [Fact]
    public void HelpNamesEveryOptionAndExitCode()
    {
        var help = Setup(["--help"]);

        Assert.Equal(0, help.ExitCode);
        Assert.StartsWith("Usage: ./setup.sh [--check] [--gpu] [--help]\n", help.Output);
        Assert.Contains("LIBTORCH", help.Output);
        Assert.Contains("Exit codes: 0", help.Output);
    }

    [Fact]
    public void AnUnknownOptionIsAnErrorThatNamesTheKnownOnes()
    {
        var outcome = Setup(["--chek"]);

        Assert.Equal(2, outcome.ExitCode);
        Assert.Equal("setup.sh: unknown option '--chek'; allowed: --check, --gpu, --help.\n", outcome.Error);
    }

    [Fact]
    public void WhereNothingIsMissingItIsDoneAtOnce()
    {
        var time = Stopwatch.StartNew();
        // Whatever libtorch these tests were built with is there, so there is nothing to install.
        var outcome = Command.Run(Script, []);

        Assert.Equal("", outcome.Error);
        Assert.Equal(0, outcome.ExitCode);
        Assert.Contains("\nEverything is there. Next: dotnet test", outcome.Output);
        Assert.InRange(time.Elapsed.TotalSeconds, 0, 3);
    }

    [Theory]
    [InlineData(2, 6, 0)]
    [InlineData(2, 14, 1)]
    public void LibTorchIsTakenFromLIBTORCH(int major, int minor, int patch)
    {
        using var torch = new FakeLibTorch(major, minor, patch);

        var outcome = Setup(["--check"], torch.Root + "/");

        Assert.Contains($"libtorch   {major}.{minor}.{patch} in {torch.Root}, CPU only\n", outcome.Output);
        Assert.Equal(0, outcome.ExitCode);
    }

    [Fact]
    public void ACudaLibTorchIsToldFromTheOther()
    {
        using var torch = new FakeLibTorch(2, 8, 0, cuda: true);

        var outcome = Setup(["--check", "--gpu"], torch.Root);

        Assert.Contains($"libtorch   2.8.0 in {torch.Root}, with CUDA\n", outcome.Output);
        Assert.Equal(0, outcome.ExitCode);
    }

    [Theory]
    [InlineData(new string[0], 2)]
    [InlineData(new[] { "--check" }, 1)]
    public void LIBTORCHThatPointsNowhereIsNamed(string[] options, int exitCode)
    {
        var outcome = Setup(options, "/nowhere/libtorch");

        Assert.Equal(exitCode, outcome.ExitCode);
        Assert.Contains(
            "LIBTORCH is '/nowhere/libtorch', but no libtorch is there (include/torch/csrc/api/include/torch/version.h and lib/libtorch_cpu.so "
            + "are looked for). Set it to an unpacked libtorch 2.6 or newer, or unset it.\n",
            outcome.Output + outcome.Error);
    }

    [Fact]
    public void AnOldLibTorchIsRefusedWithBothVersions()
    {
        using var torch = new FakeLibTorch(1, 13, 0);

        var outcome = Setup([], torch.Root);

        Assert.Equal(2, outcome.ExitCode);
        Assert.Equal(
            $"setup.sh: LIBTORCH is '{torch.Root}', but that libtorch is 1.13.0; 2.6 or newer is needed. "
            + "Set it to an unpacked libtorch 2.6 or newer, or unset it.\n",
            outcome.Error);
    }

    [Fact]
    public void GpuIsNotSatisfiedByALibTorchWithoutCuda()
    {
        using var torch = new FakeLibTorch(2, 6, 0);

        var outcome = Setup(["--gpu"], torch.Root);

        Assert.Equal(2, outcome.ExitCode);
        Assert.Contains("that libtorch 2.6.0 was built without CUDA. Set it to an unpacked libtorch 2.6 or newer with CUDA, or unset it.", outcome.Error);
    }

    [Theory]
    [InlineData(new[] { "--check" }, 1, "setup.sh: missing: .NET SDK, cmake. Run ./setup.sh to install.\n")]
    [InlineData(new string[0], 2, "setup.sh: the .NET 10 SDK was not found (dotnet --list-sdks). Install it from ")]
    public void WhatIsMissingIsReportedAndNothingIsInstalledWithoutTheSdk(string[] options, int exitCode, string message)
    {
        using var torch = new FakeLibTorch(2, 6, 0);
        var tools = Directory.CreateTempSubdirectory("tools-").FullName;
        try
        {
            foreach (var tool in (string[])["bash", "cat", "env", "flock", "g++", "grep", "head", "make", "sed", "sort", "tail"])
                File.CreateSymbolicLink(Path.Combine(tools, tool), Find(tool));
            foreach (var installer in (string[])["apt-get", "dpkg", "sudo"])
                WriteScript(Path.Combine(tools, installer), $"echo $0 \"$@\" >> {tools}/called");

            var outcome = Command.Run(Script, options, new() { ["PATH"] = tools, ["LIBTORCH"] = torch.Root, ["HOME"] = tools });

            Assert.Equal(exitCode, outcome.ExitCode);
            Assert.StartsWith(message, outcome.Error);
            Assert.Contains(".NET SDK   missing: version 10 is needed\n", outcome.Output);
            Assert.Contains("cmake      missing\n", outcome.Output);
            Assert.False(File.Exists(Path.Combine(tools, "called")));
        }
        finally
        {
            Directory.Delete(tools, recursive: true);
        }
    }

    private static Outcome Setup(string[] options, string libTorch = "") =>
        Command.Run(Script, options, new() { ["LIBTORCH"] = libTorch });

    private static string Find(string tool) => Environment.GetEnvironmentVariable("PATH")!.Split(':')
        .Select(folder => Path.Combine(folder, tool)).First(File.Exists);

    private static void WriteScript(string path, string line)
    {
        var options = new FileStreamOptions { Mode = FileMode.Create, Access = FileAccess.Write };
        if (!OperatingSystem.IsWindows())
            options.UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute;
        using var writer = new StreamWriter(path, options);
        writer.Write($"#!/usr/bin/env bash\n{line}\n");
    }
}
