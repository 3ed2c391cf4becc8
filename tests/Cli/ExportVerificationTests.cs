using System.Text.Json.Nodes;

namespace Trainer.Cli.Tests;

/// <summary><c>export --verify</c> as a user runs it.</summary>
public sealed class ExportVerificationTests(TrainedRun trained) : IClassFixture<TrainedRun>
{
    private readonly Workspace workspace = trained.Workspace;

    [Fact]
    public void A_file_of_4_bits_is_made_and_proven_and_caught_when_damaged()
    {
        workspace.Succeeds("train", "small.json", "--run", "bytes", "--set", "training.steps=2", "tokenizer.type=byte");
        var made = workspace.Succeeds("export", "bytes", "--format", "gguf", "--output", "x.gguf", "--type", "q4_0", "--verify");
        Assert.Contains("x.gguf: written as llama, q4_0 (", made.Output, StringComparison.Ordinal);
        Assert.Contains("x.gguf: llama.cpp computes what bytes does: float32, log-probabilities up to ", made.Output,
            StringComparison.Ordinal);
        Assert.Equal("", made.Error); // llama.cpp's log is long
        Assert.Equal(("equal", "the validation data of small"), Certificate());
        Assert.Empty(Directory.EnumerateFiles(workspace.Folder, "*.tmp"));

        var path = workspace.PathOf("x.gguf");
        var bytes = File.ReadAllBytes(path);
        for (var i = bytes.Length - 400; i < bytes.Length - 40; i++) bytes[i] ^= 0x11;
        File.WriteAllBytes(path, bytes);
        Fails(1, "x.gguf: it is not what bytes is; see x.gguf.verification.json", "export", "bytes", "--format", "gguf", "--output",
            "x.gguf", "--verify-only");
        Assert.Equal("different", Certificate().Verdict);

        File.WriteAllBytes(path, bytes[..50]);
        Fails(1, "x.gguf: it cannot be read as a GGUF file", "export", "bytes", "--format", "gguf", "--output", "x.gguf", "--verify-only");
        Assert.False(File.Exists(workspace.PathOf("x.gguf.verification.json")));
    }

    [Fact]
    public void An_export_that_fails_leaves_the_certificate_of_the_file_that_is_there()
    {
        var certificate = workspace.PathOf("kept.gguf.verification.json");
        File.WriteAllText(certificate, "{}");
        Fails(1, "nowhere", "export", "nowhere", "--format", "gguf", "--output", "kept.gguf");
        Assert.True(File.Exists(certificate));
    }

    [Theory]
    [InlineData("--verify compares with llama.cpp, which reads GGUF: leave it out, or use --format gguf.", "huggingface", "--verify")]
    [InlineData("--verify-only compares with llama.cpp", "huggingface", "--verify-only")]
    [InlineData("--verify compares with llama.cpp", "peft", "--verify")]
    [InlineData("--type says how a file is written, and --verify-only writes none", "gguf", "--verify-only", "--type", "f32")]
    [InlineData("--type is q4_0, which Hugging Face checkpoints do not have", "huggingface", "--type", "q4_0")]
    public void What_cannot_be_verified_is_refused(string message, string format, params string[] arguments) =>
        Fails(2, message, ["export", "run", "--output", "refused", "--format", format, .. arguments]);

    private (string Verdict, string Text) Certificate()
    {
        var json = JsonNode.Parse(File.ReadAllText(workspace.PathOf("x.gguf.verification.json")))!;
        return (json["verdict"]!.GetValue<string>(), json["text"]!.GetValue<string>());
    }

    private void Fails(int exitCode, string part, params string[] arguments) =>
        BadInputTests.Fails(workspace.Run(arguments), exitCode, part);
}
