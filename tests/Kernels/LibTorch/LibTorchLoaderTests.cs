using System.Diagnostics;
using TorchSharp;

namespace Trainer.Kernels.Tests;

public class LibTorchLoaderTests
{
    [Fact]
    public void TorchSharp_works_where_it_is_the_first_thing_that_is_touched() => Assert.Equal(3, torch.ones(3).sum().item<float>());

    [Fact]
    public void The_package_is_loaded_from_beside_the_program()
    {
        LibTorchLoader.Load();
        Assert.SkipWhen(LibTorchLoader.IsForeign, $"{LibTorchLoader.FolderVariable} is set");
        Assert.Equal("2.10.0", LibTorchLoader.Version);
        Assert.StartsWith(AppContext.BaseDirectory, LibTorchLoader.Folder + Path.DirectorySeparatorChar);
        Assert.True(LibTorchLoader.HasAutogradFunctions);
    }

    [Fact]
    public void Every_processor_is_used_unless_the_environment_says_otherwise() =>
        Assert.Equal($"{Environment.ProcessorCount}", Child("threads", ("OMP_NUM_THREADS", null)).Output);

    [Fact]
    public void The_environment_says_how_many_threads() => Assert.Equal("1", Child("threads", ("OMP_NUM_THREADS", "1")).Output);

    [Fact]
    public void A_folder_that_is_not_there_ends_the_process_with_one_line()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), $"{LibTorchLoader.FolderVariable} is for Linux");
        var (exit, output, error) = Child("threads", (LibTorchLoader.FolderVariable, "/nowhere"));
        Assert.Equal((1, ""), (exit, output));
        Assert.Equal("TRAINER_LIBTORCH: /nowhere does not exist; name the folder that has it, such as …/site-packages/torch/lib, or " +
            "unset it.", error);
    }

    [Fact]
    public void A_folder_that_lacks_the_library_is_told_apart_from_one_that_holds_it_further_down()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), $"{LibTorchLoader.FolderVariable} is for Linux");
        var folder = Directory.CreateTempSubdirectory();
        try
        {
            var inside = folder.CreateSubdirectory("lib").FullName;
            File.WriteAllText(Path.Combine(inside, "libtorch_cpu.so"), "");
            var (_, _, error) = Child("threads", (LibTorchLoader.FolderVariable, folder.FullName));
            Assert.Equal($"TRAINER_LIBTORCH: {folder.FullName} has no libtorch_cpu.so; set it to {inside}.", error);
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    [Fact]
    public void Another_folder_is_used_and_named()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), $"{LibTorchLoader.FolderVariable} is for Linux");
        var folder = Directory.CreateTempSubdirectory();
        try
        {
            foreach (var file in Directory.EnumerateFiles(Path.Combine(AppContext.BaseDirectory, "libtorch")))
                File.CreateSymbolicLink(Path.Combine(folder.FullName, Path.GetFileName(file)), file);
            Assert.Equal((0, folder.FullName, ""), Child("folder", (LibTorchLoader.FolderVariable, folder.FullName)));
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    [Theory]
    [InlineData("1.13.1", true)]
    [InlineData("2.9.1+cu128", true)]
    [InlineData("2.9.0.dev20250801+cpu", true)]
    [InlineData("2.10.0", false)]
    [InlineData("2.10.0a0+git1234", false)]
    [InlineData("2.14.0+cu130", false)]
    [InlineData("3.0", false)]
    [InlineData("unknown version", false)] // what it lacks is found by its names
    public void Versions_before_2_10_are_too_old(string version, bool isTooOld) =>
        Assert.Equal(isTooOld, LibTorchLoader.IsTooOld(version));

    [Fact]
    public void An_older_libtorch_ends_the_process_with_one_line()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), $"{LibTorchLoader.FolderVariable} is for Linux");
        var package = Directory.CreateTempSubdirectory();
        try
        {
            // As Python's package lies, which is what says the version.
            var folder = package.CreateSubdirectory("lib").FullName;
            foreach (var file in Directory.EnumerateFiles(Path.Combine(AppContext.BaseDirectory, "libtorch")))
                File.CreateSymbolicLink(Path.Combine(folder, Path.GetFileName(file)), file);
            File.WriteAllText(Path.Combine(package.FullName, "version.py"), "__version__ = '2.9.1+cpu'\n");
            var (exit, output, error) = Child("folder", (LibTorchLoader.FolderVariable, folder));
            Assert.Equal((1, ""), (exit, output));
            Assert.Equal($"TRAINER_LIBTORCH: libtorch 2.9.1+cpu in {folder} is too old; name one of 2.10 or newer, or unset it.", error);
        }
        finally
        {
            package.Delete(recursive: true);
        }
    }

    [Fact]
    public void A_damaged_library_ends_the_process_with_one_line()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), $"{LibTorchLoader.FolderVariable} is for Linux");
        var folder = Directory.CreateTempSubdirectory();
        try
        {
            foreach (var name in (string[])["libc10.so", "libtorch_cpu.so"])
                File.WriteAllText(Path.Combine(folder.FullName, name), "no library");
            var (exit, _, error) = Child("threads", (LibTorchLoader.FolderVariable, folder.FullName));
            Assert.Equal(1, exit);
            Assert.Equal($"libtorch could not be loaded: {folder.FullName}/libc10.so is damaged. "
                + "Unset TRAINER_LIBTORCH to use the one that the program was built with.", error);
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    // This program again, as what ChildProgram makes of it.
    private static (int Exit, string Output, string Error) Child(string question, params (string Name, string? Value)[] environment)
    {
        var program = Path.Combine(AppContext.BaseDirectory, "Trainer.Kernels.Tests" + (OperatingSystem.IsWindows() ? ".exe" : ""));
        var start = new ProcessStartInfo(program) { RedirectStandardOutput = true, RedirectStandardError = true };
        start.Environment[ChildProgram.Variable] = question;
        start.Environment.Remove(LibTorchLoader.FolderVariable);
        foreach (var (name, value) in environment)
            if (value is null) start.Environment.Remove(name);
            else start.Environment[name] = value;
        using var child = Process.Start(start)!;
        var error = child.StandardError.ReadToEndAsync();
        var output = child.StandardOutput.ReadToEnd();
        child.WaitForExit();
        return (child.ExitCode, output.Trim(), error.Result.Trim());
    }
}
