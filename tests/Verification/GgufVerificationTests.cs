using System.Buffers.Binary;
using System.Text;
using System.Text.Json.Nodes;
using Trainer.Checkpoints;
using Trainer.Checkpoints.Gguf;
using Trainer.Configuration;
using Trainer.Tests;

namespace Trainer.Verification.Tests;

public sealed class GgufVerificationTests : IDisposable
{
    private readonly TemporaryDirectory directory = new();

    private string File => directory.File("model.gguf");

    public void Dispose() => directory.Dispose();

    [Theory]
    [InlineData("gpt2")]
    [InlineData("llama")]
    [InlineData("llama", true)]
    [InlineData("mistral")]
    [InlineData("mixtral")]
    [InlineData("qwen2")]
    [InlineData("qwen3")]
    public void Every_family_is_computed_alike_by_llama_cpp(string family, bool bytes = false)
    {
        Checkpoint checkpoint = TinyCheckpoint.Write(directory.File("checkpoint"), family, bytes);
        CheckpointExport.Gguf(checkpoint.Directory, File, GgufType.F32);
        Certificate certificate = Verify(checkpoint);
        AssertEqual(certificate);
        Assert.Equal(["structure", "settings", "loading", "weights", "tokens", "float32"], certificate.Checks.Select(check => check.Name));
        WindowFigures[] windows = [.. certificate.Checks[^1].Windows!];
        Assert.Equal(4, windows.Length);
        Assert.All(windows, window => Assert.Equal(window.GreedyTokens, window.GreedyAlike));
        Assert.All(windows, window => Assert.InRange(window.LargestGap, 0, family == "gpt2" ? 1e-2 : 1e-4));
    }

    [Theory]
    [InlineData("f16", "F16")]
    [InlineData("bf16", "BF16")]
    [InlineData("q8_0", "Q8_0")]
    [InlineData("q4_0", "Q4_0")]
    [InlineData("q4_k_m", "Q4_K")]
    [InlineData("q5_0", "Q5_0")]
    [InlineData("q5_k_m", "Q5_K")]
    [InlineData("q6_k", "Q6_K")]
    public void Every_type_is_what_the_checkpoint_rounds_to_and_is_computed_alike(string type, string stored)
    {
        Checkpoint checkpoint = TinyCheckpoint.Write(directory.File("checkpoint"), "llama");
        Export(checkpoint, type);
        Certificate certificate = Verify(checkpoint);
        AssertEqual(certificate);
        Assert.Contains(stored, certificate.Tensors.Keys);
        Assert.Equal(["float32", "as stored"], certificate.Checks.TakeLast(2).Select(check => check.Name));
        Assert.Equal([Path.GetFileName(File)], Directory.GetFiles(directory.Path).Select(Path.GetFileName)); // nothing temporary
    }

    [Fact]
    public void Rows_that_blocks_of_256_do_not_divide_get_another_type_and_pass()
    {
        Checkpoint checkpoint = TinyCheckpoint.Write(directory.File("checkpoint"), "qwen3", dim: 64);
        Export(checkpoint, "q4_k_m");
        Certificate certificate = Verify(checkpoint);
        AssertEqual(certificate);
        Assert.Contains("Q5_0", certificate.Tensors.Keys);
    }

    [Fact]
    public void A_folder_that_cannot_be_made_for_a_quantized_file_is_named()
    {
        Checkpoint checkpoint = TinyCheckpoint.Write(directory.File("checkpoint"), "llama");
        System.IO.File.WriteAllText(File, "");
        string path = Path.Combine(File, "model.gguf");
        Assert.StartsWith(path, Assert.Throws<UserException>(() => QuantizedExport.Write(checkpoint, path, "q4_0")).Message);
    }

    [Fact]
    public void A_changed_row_is_caught_in_the_weights_and_in_what_is_computed()
    {
        Checkpoint checkpoint = Exported("llama");
        byte[] row = RowOf(checkpoint, "blocks.1.feedForward.down.weight", 3), changed = new byte[row.Length];
        Replace(row, changed);
        Certificate certificate = Verify(checkpoint);
        Assert.Equal(["weights", "float32"], Failed(certificate));
        Assert.StartsWith("blk.1.ffn_down.weight: 1 of 256 rows differ, the first of them row 3, by 1 of its norm",
            Differences(certificate, "weights").Single());
    }

    [Theory]
    [InlineData("q8_0", 272, "weights", "float32", "as stored")]
    [InlineData("q4_k_m", 210, "weights")] // of Q6_K; computed from the file's own numbers, since no others are known
    public void Rows_of_blocks_in_the_place_of_others_are_caught(string type, int rowBytes, params string[] failing)
    {
        Checkpoint checkpoint = TinyCheckpoint.Write(directory.File("checkpoint"), "llama");
        Export(checkpoint, type);
        byte[] bytes = System.IO.File.ReadAllBytes(File);
        int at = bytes.Length - 40 * rowBytes; // among the last rows of the head
        for (int i = at; i < at + 20 * rowBytes; i++) bytes[i] = bytes[i - 30 * rowBytes];
        System.IO.File.WriteAllBytes(File, bytes);
        Assert.Equal(failing, Failed(Verify(checkpoint)));
    }

    [Theory]
    [InlineData("blk.0.attn_k.weight", "blk.0.attn_v.weight")]
    [InlineData("blk.0.attn_q.weight", "blk.1.attn_q.weight")]
    public void Swapped_tensors_are_caught(string one, string other)
    {
        Checkpoint checkpoint = Exported("llama");
        Swap(Encoding.UTF8.GetBytes(one), Encoding.UTF8.GetBytes(other));
        Assert.Equal(["weights", "float32"], Failed(Verify(checkpoint)));
    }

    [Fact]
    public void A_wrong_base_of_rotary_positions_is_caught_in_the_settings_and_in_what_is_computed()
    {
        Checkpoint checkpoint = Exported("llama");
        byte[] key = [.. "llama.rope.freq_base"u8, 6, 0, 0, 0];
        Replace([.. key, .. Single(10_000)], [.. key, .. Single(20_000)]);
        Certificate certificate = Verify(checkpoint);
        Assert.Equal(["settings", "float32"], Failed(certificate));
        Assert.Equal("llama.rope.freq_base is 20000, and 10000 in the checkpoint", Differences(certificate, "settings").Single());
    }

    [Fact]
    public void A_wrong_merge_is_caught_in_the_settings_and_in_tokens()
    {
        Checkpoint checkpoint = Exported("gpt2"); // with Llama 3's words llama.cpp takes whole tokens without merging
        byte[][] merges = [.. ((JsonArray)checkpoint.Tokenizer.ToJson()["model"]!["merges"]!).Select(Merge)];
        byte[] last = merges[^1], other = merges.First(merge => merge.Length == last.Length);
        Assert.NotEqual(last, other);
        Replace(last, other);
        Certificate certificate = Verify(checkpoint);
        Assert.Equal(["settings", "tokens"], Failed(certificate));
        Assert.StartsWith("tokenizer.ggml.merges, item ", Differences(certificate, "settings").Single());
    }

    [Fact]
    public void A_file_of_another_model_is_caught_before_it_is_loaded()
    {
        Exported("llama");
        Checkpoint other = TinyCheckpoint.Write(directory.File("other"), "qwen2");
        Certificate certificate = Verify(other);
        Check only = Assert.Single(certificate.Checks);
        Assert.Equal("structure", only.Name);
        Assert.Equal("general.architecture is \"llama\", and \"qwen2\" in the checkpoint", only.Differences[0]);
        Assert.Contains("blk.0.attn_q.bias is missing", only.Differences);
    }

    [Theory]
    [InlineData(100, "it cannot be read as a GGUF file")]
    [InlineData(0, "it cannot be read as a GGUF file")]
    public void A_file_cut_off_in_its_header_is_no_GGUF(int length, string message)
    {
        Checkpoint checkpoint = Exported("llama");
        using (FileStream stream = System.IO.File.OpenWrite(File)) stream.SetLength(length);
        Assert.StartsWith($"{File}: {message}", Assert.Throws<UserException>(() => Verify(checkpoint)).Message);
    }

    [Fact]
    public void A_quantized_file_cut_off_in_its_numbers_is_not_taken_by_llama_cpp()
    {
        Checkpoint checkpoint = TinyCheckpoint.Write(directory.File("checkpoint"), "llama");
        Export(checkpoint, "q8_0");
        using (FileStream stream = System.IO.File.OpenWrite(File)) stream.SetLength(stream.Length - 1000);
        Certificate certificate = Verify(checkpoint);
        Assert.Equal(["loading"], Failed(certificate));
        Assert.StartsWith("llama.cpp does not take it: ", certificate.Checks[^1].Differences.Single());
    }

    [Fact]
    public void A_certificate_says_what_was_compared_with_what()
    {
        Checkpoint checkpoint = Exported("llama");
        string path = Certificate.PathFor(File);
        Verify(checkpoint).Save(path);
        JsonNode json = JsonNode.Parse(System.IO.File.ReadAllText(path))!;
        Assert.Equal("equal", json["verdict"]!.GetValue<string>());
        Assert.Equal(Sha256(File), json["file"]!["sha256"]!.GetValue<string>());
        Assert.Equal(Sha256(Path.Combine(checkpoint.Directory, CheckpointFiles.Model)), json["checkpoint"]!["sha256"]!.GetValue<string>());
        Assert.Equal("a text that the program brings", json["text"]!.GetValue<string>());
        Assert.StartsWith("LLamaSharp.Backend.Cpu 0.30.0; CPU : ", json["programs"]!["llama.cpp"]!.GetValue<string>());
        Assert.All((JsonArray)json["checks"]!, check => Assert.Empty((JsonArray)check!["differences"]!));
        Assert.Equal(
            "0.001 nats for each log-probability, and tokens that are likeliest here, too, or less than 0.002 nats less likely: float32 " +
                "sums in another order move log-probabilities by up to 1e-5",
            ((JsonArray)json["checks"]!)[^1]!["tolerance"]!.GetValue<string>());
    }

    private Checkpoint Exported(string family)
    {
        Checkpoint checkpoint = TinyCheckpoint.Write(directory.File("checkpoint"), family);
        Export(checkpoint, "f32");
        return checkpoint;
    }

    private void Export(Checkpoint checkpoint, string type)
    {
        if (QuantizedExport.Types.Contains(type)) QuantizedExport.Write(checkpoint, File, type);
        else CheckpointExport.Gguf(checkpoint.Directory, File, Enum.Parse<GgufType>(type, ignoreCase: true));
    }

    private Certificate Verify(Checkpoint checkpoint) => GgufVerification.Run(checkpoint, File, directory.File("datasets"));

    private static void AssertEqual(Certificate certificate)
    {
        Assert.Empty(certificate.Checks.SelectMany(check => check.Differences.Select(difference => $"{check.Name}: {difference}")));
    }

    private static IEnumerable<string> Failed(Certificate certificate) =>
        certificate.Checks.Where(check => !check.Passed).Select(check => check.Name);

    private static IReadOnlyList<string> Differences(Certificate certificate, string check) =>
        certificate.Checks.Single(one => one.Name == check).Differences;

    private static byte[] RowOf(Checkpoint checkpoint, string name, int row)
    {
        using SafetensorsFile file = SafetensorsFile.Open(Path.Combine(checkpoint.Directory, CheckpointFiles.Model));
        using TorchSharp.torch.Tensor tensor = file.Read(name), one = tensor[row].contiguous();
        return one.bytes.ToArray();
    }

    private static byte[] Merge(JsonNode? merge)
    {
        string text = merge is JsonArray pair ? $"{pair[0]} {pair[1]}" : merge!.GetValue<string>();
        byte[] bytes = Encoding.UTF8.GetBytes(text), length = new byte[8];
        BinaryPrimitives.WriteInt64LittleEndian(length, bytes.Length);
        return [.. length, .. bytes];
    }

    private static byte[] Single(float value) => BitConverter.GetBytes(value);

    private static string Sha256(string path) =>
        Convert.ToHexStringLower(System.Security.Cryptography.SHA256.HashData(System.IO.File.ReadAllBytes(path)));

    private void Replace(byte[] from, byte[] to)
    {
        byte[] bytes = System.IO.File.ReadAllBytes(File);
        int at = bytes.AsSpan().IndexOf(from);
        Assert.True(at >= 0);
        to.CopyTo(bytes, at);
        System.IO.File.WriteAllBytes(File, bytes);
    }

    private void Swap(byte[] one, byte[] other)
    {
        byte[] place = [.. one.Select(_ => (byte)1)];
        Replace(one, place);
        Replace(other, one);
        Replace(place, other);
    }
}
