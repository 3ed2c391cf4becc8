using System.Text;
using static TorchSharp.torch;

namespace Trainer.Checkpoints.Tests;

/// <summary>A damaged file is an <see cref="InvalidDataException"/> that names it: never a crash, never silence.</summary>
public sealed class SafetensorsFileTests : IDisposable
{
    private readonly TemporaryFile file = new();

    public void Dispose() => file.Dispose();

    [Theory]
    [InlineData("", 0, "its header cannot be read")]
    [InlineData("[]", 0, "its header cannot be read")]
    [InlineData("{", 0, "its header cannot be read")]
    [InlineData("{}{}", 0, "its header cannot be read")]
    [InlineData("""{"a":1}""", 0, "its header cannot be read")]
    [InlineData("""{"a":{}}""", 0, "its header cannot be read")]
    [InlineData("""{"a":{"dtype":"F32","shape":[1.5],"data_offsets":[0,4]}}""", 4, "its header cannot be read")]
    [InlineData("""{"a":{"dtype":"F32","shape":"1","data_offsets":[0,4]}}""", 4, "its header cannot be read")]
    [InlineData("""{"a":{"dtype":null,"shape":[1],"data_offsets":[0,4]}}""", 4, "the tensor 'a' has the type")]
    [InlineData("""{"a":{"dtype":"F8_E4M3","shape":[1],"data_offsets":[0,1]}}""", 1, "the tensor 'a' has the type F8_E4M3, which is not supported")]
    [InlineData("""{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}}""", 4, "the tensor 'a' of shape [2] and type F32 needs 8 bytes, but has 4")]
    [InlineData("""{"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}}""", 4, "the tensor 'a' has no sound shape and place")]
    [InlineData("""{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}}""", 4, "the tensor 'a' has no sound shape and place")]
    [InlineData("""{"a":{"dtype":"F32","shape":[1],"data_offsets":[-4,0]}}""", 4, "the tensor 'a' has no sound shape and place")]
    [InlineData("""{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4,8]}}""", 4, "the tensor 'a' has no sound shape and place")]
    [InlineData("""{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}""", 8, "the data of 'a' begins at byte 4, but the tensor before it ends at 0")]
    [InlineData("""{"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"b":{"dtype":"U8","shape":[4],"data_offsets":[6,10]}}""", 10, "the data of 'b' begins at byte 6, but the tensor before it ends at 4")]
    [InlineData("""{"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"b":{"dtype":"U8","shape":[4],"data_offsets":[2,6]}}""", 6, "the data of 'b' begins at byte 2, but the tensor before it ends at 4")]
    [InlineData("""{"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"a":{"dtype":"U8","shape":[4],"data_offsets":[4,8]}}""", 8, "the tensor 'a' stands in it twice")]
    [InlineData("""{"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}}""", 3, "its tensors need 4 bytes of data, but 3 follow the header; it is truncated")]
    [InlineData("""{"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}}""", 5, "its tensors need 4 bytes of data, but 5 follow the header; it is too long")]
    [InlineData("""{"a":{"dtype":"F64","shape":[4611686018427387904,4],"data_offsets":[0,0]}}""", 0, "its header cannot be read")]
    [InlineData("""{"a":{"dtype":"F64","shape":[0,4611686018427387904,4],"data_offsets":[0,0]}}""", 0, "its header cannot be read")]
    [InlineData("""{"a":{"dtype":"F32","shape":[99999999999999999999],"data_offsets":[0,4]}}""", 4, "its header cannot be read")]
    [InlineData("""{"__metadata__":{"a":1}}""", 0, "its header cannot be read")]
    [InlineData("""{"__metadata__":{"a":null}}""", 0, "the metadata 'a' is no text")]
    [InlineData("""{"__metadata__":[]}""", 0, "its header cannot be read")]
    public void A_wrong_header_is_named(string header, int data, string message)
    {
        Write(Encoding.UTF8.GetBytes(header), header.Length, data);
        var error = Assert.Throws<InvalidDataException>(() => SafetensorsFile.Open(file.Path));
        Assert.StartsWith($"{file.Path} is not a whole safetensors file: {message}", error.Message);
    }

    [Theory]
    [InlineData(long.MaxValue)]
    [InlineData(-1)]
    [InlineData(long.MinValue)]
    [InlineData(100_000_001)]
    [InlineData(3)]
    public void An_absurd_header_length_is_named(long length)
    {
        Write("{}"u8.ToArray(), length, 0);
        var error = Assert.Throws<InvalidDataException>(() => SafetensorsFile.Open(file.Path));
        Assert.Equal($"{file.Path} is not a whole safetensors file: its header claims {(ulong)length} bytes, but 2 follow.", error.Message);
    }

    [Fact]
    public void Wherever_it_was_cut_off_it_is_noticed()
    {
        var whole = Sample();
        for (var length = 0; length < whole.Length; length++)
        {
            File.WriteAllBytes(file.Path, whole[..length]);
            var error = Assert.Throws<InvalidDataException>(() => SafetensorsFile.Open(file.Path));
            Assert.StartsWith(file.Path, error.Message);
        }
    }

    [Fact]
    public void Ten_thousand_mutated_headers_are_read_or_refused()
    {
        var whole = Sample();
        var header = 8 + (int)BitConverter.ToInt64(whole);
        var random = new Random(20);
        var refused = 0;
        for (var i = 0; i < 10_000; i++)
        {
            var damaged = whole.ToArray();
            for (var changes = random.Next(1, 4); changes > 0; changes--)
                damaged[random.Next(header)] = random.Next(3) == 0 ? (byte)random.Next(256) : whole[random.Next(8, header)];
            var sound = IsSound(damaged);
            refused += sound ? 0 : 1;
            if (sound || i % 100 == 0) Assert.Equal(sound, ReadsWhole(damaged));
        }

        Assert.InRange(refused, 5_000, 9_999);
    }

    [Fact]
    public void A_missing_file_is_not_a_damaged_one() =>
        Assert.Throws<FileNotFoundException>(() => SafetensorsFile.Open(file.Path));

    private bool IsSound(byte[] content)
    {
        try
        {
            using var checkedFile = new SafetensorsFile(file.Path, new MemoryStream(content));
            return true;
        }
        catch (InvalidDataException error)
        {
            Assert.StartsWith(file.Path, error.Message);
            return false;
        }
    }

    private bool ReadsWhole(byte[] content)
    {
        File.WriteAllBytes(file.Path, content);
        using var scope = NewDisposeScope();
        try
        {
            using var opened = SafetensorsFile.Open(file.Path);
            foreach (var name in opened.Names) opened.Read(name).sum();
            return true;
        }
        catch (InvalidDataException error)
        {
            Assert.StartsWith(file.Path, error.Message);
            return false;
        }
    }

    private byte[] Sample()
    {
        using var scope = NewDisposeScope();
        Safetensors.Write(file.Path, [("weight", arange(6).view(2, 3)), ("bias", ones([3], ScalarType.BFloat16)), ("empty", zeros(0))],
            new Dictionary<string, string> { ["step"] = "1" });
        return File.ReadAllBytes(file.Path);
    }

    private void Write(byte[] header, long length, int data) =>
        File.WriteAllBytes(file.Path, [.. BitConverter.GetBytes(length), .. header, .. new byte[data]]);
}
