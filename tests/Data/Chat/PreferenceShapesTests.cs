using Trainer.Configuration;
using Trainer.Data.Chat;
using Trainer.Data.Corpora;
using Trainer.Data.Parquet;

namespace Trainer.Data.Tests.Chat;

public sealed class PreferenceShapesTests : IDisposable
{
    private readonly TemporaryFolder folder = new();

    public void Dispose() => folder.Dispose();

    // What is learned is in brackets.
    [Theory]
    [InlineData("""{"prompt":"q","chosen":"a","rejected":"b"}""", "user:q|[assistant:a]", "user:q|[assistant:b]")]
    [InlineData("""{"prompt":[{"role":"system","content":"s"},{"role":"user","content":"q"}],"chosen":[{"role":"assistant","content":"a"}],"rejected":"b"}""",
        "system:s|user:q|[assistant:a]", "system:s|user:q|[assistant:b]")]
    [InlineData("""{"chosen":[{"role":"user","content":"q"},{"role":"assistant","content":"x"},{"role":"user","content":"r"},{"role":"assistant","content":"a"}],"rejected":[{"role":"user","content":"q"},{"role":"assistant","content":"x"},{"role":"user","content":"r"},{"role":"assistant","content":"b"}]}""",
        "user:q|assistant:x|user:r|[assistant:a]", "user:q|assistant:x|user:r|[assistant:b]")]
    [InlineData("""{"prompt":"q","completion":"a","label":true}""", "user:q|[assistant:a]", null)]
    [InlineData("""{"prompt":"q","completion":[{"role":"assistant","content":"a"}],"label":0}""", null, "user:q|[assistant:a]")]
    public void A_preference_comes_in_several_shapes(string json, string? chosen, string? rejected) =>
        Assert.Equal([chosen, rejected], Assert.Single(Read(json)).Select(Shown));

    [Theory]
    [InlineData("""{"prompt":"q","chosen":"a","rejected":"a"}""", "has the same text as chosen and as rejected, so that neither is preferred; remove it")]
    [InlineData("""{"prompt":"q","chosen":"a"}""", "has no preference; it needs chosen and rejected, with or without prompt, or prompt, completion and label, and has prompt, chosen")]
    [InlineData("""{"prompt":"q","chosen":"a","rejected":""}""", "rejected: turn 2 (of assistant) is empty; remove the conversation, or give the turn a text")]
    [InlineData("""{"prompt":"q","chosen":7,"rejected":"b"}""", "chosen is a number, not a text")]
    [InlineData("""{"prompt":[{"role":"bot","content":"q"}],"chosen":"a","rejected":"b"}""", "prompt.0.role is \"bot\"; known are system, user, assistant and tool")]
    [InlineData("""{"prompt":"q","completion":"a"}""", "label is missing; true says that the completion is good, false that it is not")]
    [InlineData("""{"prompt":"q","completion":"a","label":"good"}""", "label is \"good\", and must be true or false")]
    [InlineData("""{"chosen":[{"role":"user","content":"q"}],"rejected":[{"role":"user","content":"q"},{"role":"assistant","content":"b"}]}""", "chosen: has no turn behind the prompt; give the answer")]
    [InlineData("""{"chosen":"a","rejected":"b"}""", "chosen: turn 1 is of assistant and the first; ")]
    [InlineData("""["q"]""", "is a list, not an object; each record is one JSON object")]
    public void What_is_no_preference_is_refused_with_its_line(string json, string problem)
    {
        var good = """{"prompt":"q","chosen":"a","rejected":"b"}""";
        var error = Assert.Throws<UserException>(() => Read($"{good}\n\n{json}\n"));
        Assert.StartsWith($"{folder["pairs.jsonl"]}, line 3: {problem}", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Texts_hold_no_preferences()
    {
        folder.Write("pairs.txt", "text");
        var source = new SourceOptions { Path = folder["pairs.txt"], Format = SourceFormat.Preferences };
        Assert.Equal($"data.train.0.path: \"{folder["pairs.txt"]}\" is read as text, and format \"preferences\" has JSON lines (.jsonl) or "
            + "Parquet (.parquet); name such a file",
            Assert.Throws<UserException>(() => ConversationFiles.Open(source, "data.train.0")).Message);
    }

    [Fact]
    public void Parquet_holds_texts_or_lists_of_messages()
    {
        var path = folder["pairs.parquet"];
        ParquetTable.Write(path, [new("prompt", ParquetKind.Text), new("chosen", ParquetKind.Text), new("rejected", ParquetKind.Text)],
            [["q", "a", "b"], ["r", "c", "d"]]);
        Assert.Equal([["user:q|[assistant:a]", "user:q|[assistant:b]"], ["user:r|[assistant:c]", "user:r|[assistant:d]"]],
            Open(path).Records().Select(record => record.Select(Shown).ToArray()));

        ParquetTable.Write(path, [new("prompt", ParquetKind.Text), new("completion", ParquetKind.Text), new("label", ParquetKind.Integer)],
            [["q", "a", 1L], ["q", "", 0L]]);
        Assert.Equal($"{path}, row 2: completion: turn 2 (of assistant) is empty; remove the conversation, or give the turn a text",
            Assert.Throws<UserException>(() => Open(path).Records().ToArray()).Message);

        ParquetTable.Write(path, [new("text", ParquetKind.Text)], [["q"]]);
        Assert.EndsWith("or prompt, completion and label, and has text",
            Assert.Throws<UserException>(() => Open(path).Records().ToArray()).Message, StringComparison.Ordinal);
        folder.Write("pairs.parquet", "PAR1 but damaged PAR1");
        Assert.StartsWith(path, Assert.Throws<UserException>(() => Open(path).Records().ToArray()).Message, StringComparison.Ordinal);
    }

    private static ConversationFiles Open(string path) =>
        ConversationFiles.Open(new SourceOptions { Path = path, Format = SourceFormat.Preferences }, "");

    private static string? Shown(Conversation? answer) => answer is null ? null
        : string.Join('|', answer.Messages.Select(message => message is { Role: "assistant", IsLearned: true }
            ? $"[{message.Role}:{message.Content}]" : $"{message.Role}:{message.Content}"));

    private IReadOnlyList<IReadOnlyList<Conversation?>> Read(string lines)
    {
        folder.Write("pairs.jsonl", lines);
        return [.. ConversationFiles.Open(
            new SourceOptions { Path = folder["pairs.jsonl"], Format = SourceFormat.Preferences }, "").Records()];
    }
}
