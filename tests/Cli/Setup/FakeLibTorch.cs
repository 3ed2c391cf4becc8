namespace Trainer.Cli.Tests.Setup;

/// <summary>A folder that looks like an unpacked libtorch to whoever only looks: headers with a version, empty libraries.</summary>
internal sealed class FakeLibTorch : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("libtorch-").FullName;

    public FakeLibTorch(int major, int minor, int patch, bool cuda = false)
    {
        var lines = $"#pragma once\n#define TORCH_VERSION_MAJOR {major}\n#define TORCH_VERSION_MINOR {minor}\n#define TORCH_VERSION_PATCH {patch}\n"
            + "#define TORCH_VERSION \\\n  \"x\"\n";
        if (new Version(major, minor) >= new Version(2, 9))
        {
            Write("include/torch/headeronly/version.h", lines);
            lines = "#include <torch/headeronly/version.h>\n";
        }
        Write("include/torch/csrc/api/include/torch/version.h", lines);
        Write("lib/libtorch_cpu.so", "");
        if (cuda)
        {
            Write("lib/libtorch_cuda.so", "");
            Write("../nvidia/cuda_runtime/include/cuda_runtime_api.h", "");
        }
    }

    /// <summary>What LIBTORCH is set to; like site-packages/torch, it has neighbours.</summary>
    public string Root => Path.Combine(_folder, "torch");

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    private void Write(string path, string text)
    {
        var file = Path.GetFullPath(Path.Combine(Root, path));
        Directory.CreateDirectory(Path.GetDirectoryName(file)!);
        File.WriteAllText(file, text);
    }
}
