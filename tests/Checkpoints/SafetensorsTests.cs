using System.Text;
using Trainer.Tests;
using static TorchSharp.torch;

namespace Trainer.Checkpoints.Tests;

public sealed class SafetensorsTests : IDisposable
{
    private readonly TemporaryFile file = new();

    public void Dispose() => file.Dispose();

    private static readonly ScalarType[] Types =
    [
        ScalarType.Float32, ScalarType.BFloat16, ScalarType.Float16, ScalarType.Float64, ScalarType.Int64, ScalarType.Int32,
        ScalarType.Int16, ScalarType.Int8, ScalarType.Byte, ScalarType.Bool,
    ];

    [Fact]
    public void Every_type_and_shape_comes_back_bit_for_bit()
    {
        using var scope = NewDisposeScope();
        var random = randn([3, 4], generator: new Generator(1)) * 100;
        var tensors = Types.Select(type => (Name: $"type.{type}", Value: random.to(type)))
            .Concat<(string Name, Tensor Value)>(
                [("scalar", tensor(2.5f)), ("empty", zeros(0, 5)), ("transposed", random.mT), ("slice", random[1.., ..2]),
                ("nan", tensor([float.NaN, float.NegativeInfinity, -0f])), ("ünï 語 \"quoted\"", arange(3)),
                ("gradient", ones([2], requires_grad: true))])
            .ToArray();
        Safetensors.Write(file.Path, tensors);

        using var read = SafetensorsFile.Open(file.Path);
        Assert.Equal(tensors.Select(entry => entry.Name).Order(), read.Names.Order());
        foreach (var (name, value) in tensors)
        {
            Assert.Equal(value.dtype, read.Info(name).Type);
            Assert.Equal(value.shape, read.Info(name).Shape);
            TensorAssert.SameBits(value.detach(), read.Read(name));
            Assert.False(read.Read(name).requires_grad);
        }
    }

    [Fact]
    public void The_bytes_are_those_of_the_specification()
    {
        using var x = tensor([1f, 2f]);
        using var y = tensor(new byte[] { 7 });
        Safetensors.Write(file.Path, [("a", x), ("b", y)], new Dictionary<string, string> { ["format"] = "pt" });
        const string Header = """{"__metadata__":{"format":"pt"},"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"U8","shape":[1],"data_offsets":[8,9]}}""";
        var padded = Header.PadRight((Header.Length + 7) / 8 * 8);
        byte[] expected = [.. BitConverter.GetBytes((long)padded.Length), .. Encoding.UTF8.GetBytes(padded), 0, 0, 0x80, 0x3F, 0, 0, 0,
            0x40, 7];
        Assert.Equal(expected, File.ReadAllBytes(file.Path));
    }

    [Fact]
    public void Metadata_and_order_are_kept()
    {
        using var x = ones(2);
        Safetensors.Write(
            file.Path, [("z", x), ("a", x), ("m", x)], new Dictionary<string, string> { ["step"] = "12", ["text"] = "line\n\"ü\"" });
        using var read = SafetensorsFile.Open(file.Path);
        Assert.Equal(["z", "a", "m"], read.Names);
        Assert.Equal("12", read.Metadata["step"]);
        Assert.Equal("line\n\"ü\"", read.Metadata["text"]);
    }

    [Fact]
    public void A_file_without_tensors_is_a_file()
    {
        Safetensors.Write(file.Path, Array.Empty<(string, Tensor)>());
        using var read = SafetensorsFile.Open(file.Path);
        Assert.Empty(read.Names);
        Assert.Empty(read.Metadata);
    }

    [Fact]
    public void No_part_of_the_file_stays_in_memory_when_it_was_read()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "the mappings of a process are read as Linux lists them");
        using var x = ones(3, 5000);
        using var y = arange(70000);
        Safetensors.Write(file.Path, [("x", x), ("y", y)]);
        using var opened = SafetensorsFile.Open(file.Path);
        using var last = opened.Read("y");
        TensorAssert.SameBits(y, last);
        using var first = opened.Read("x");
        TensorAssert.SameBits(x, first);
        Assert.DoesNotContain(Path.GetFileName(file.Path), File.ReadAllText("/proc/self/maps"), StringComparison.Ordinal);
    }

    [Fact]
    public void What_was_read_outlives_the_file_and_an_unknown_name_is_an_error()
    {
        using var x = ones(2);
        Safetensors.Write(file.Path, [("x", x)]);
        var opened = SafetensorsFile.Open(file.Path);
        using var read = opened.Read("x");
        Assert.Equal($"{file.Path} holds no tensor 'y'.", Assert.Throws<KeyNotFoundException>(() => opened.Read("y")).Message);
        opened.Dispose();
        File.Delete(file.Path);
        TensorAssert.Equal([1, 1], read);
        Assert.Throws<ObjectDisposedException>(() => opened.Read("x"));
    }

    [Fact]
    public void Names_that_cannot_stand_in_the_file_are_refused()
    {
        using var x = ones(2);
        Assert.Equal(
            "The tensor 'x' is given twice.",
            Assert.Throws<ArgumentException>(() => Safetensors.Write(file.Path, [("x", x), ("x", x)])).Message);
        Assert.Contains("reserved", Assert.Throws<ArgumentException>(() => Safetensors.Write(file.Path, [("__metadata__", x)])).Message);
    }

    [Fact]
    public void Files_of_the_reference_implementation_are_read_and_written_again_alike()
    {
        var golden = Repository.PathOf("..", "shared", "golden");
        if (!Directory.Exists(golden)) Assert.Skip("the reference files are not here");
        var paths = Directory.GetFiles(golden, "*.safetensors", SearchOption.AllDirectories);
        Assert.NotEmpty(paths);
        foreach (var path in paths)
        {
            using var scope = NewDisposeScope();
            using var first = SafetensorsFile.Open(path);
            Safetensors.Write(file.Path, first.Names.Select(name => (name, first.Read(name))), first.Metadata);
            using var second = SafetensorsFile.Open(file.Path);
            Assert.Equal(first.Names, second.Names);
            Assert.Equal(first.Metadata, second.Metadata);
            foreach (var name in first.Names) TensorAssert.SameBits(first.Read(name), second.Read(name));
        }
    }
}

/// <summary>A file name of its own, the file removed at the end.</summary>
internal sealed class TemporaryFile : IDisposable
{
    internal string Path { get; } = System.IO.Path.Combine(System.IO.Path.GetTempPath(), $"{Guid.NewGuid():N}.safetensors");

    public void Dispose() => File.Delete(Path);
}
