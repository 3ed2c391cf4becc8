using ParquetSharp;
using ParquetSharp.Schema;
using Trainer.Configuration;
using Trainer.Data.Corpora;
using Trainer.Data.Parquet;

namespace Trainer.Data.Tests.Chat;

public sealed class ConversationShapesTests : IDisposable
{
    private const string Asked = """{"role":"user","content":"q"}""";

    private readonly TemporaryFolder folder = new();

    public void Dispose() => folder.Dispose();

    [Theory]
    [InlineData("""{"messages":[{"role":"system","content":"s"},{"role":"user","content":"q"},{"role":"assistant","content":"a"}]}""", "system:s|user:q|assistant:a")]
    [InlineData("""{"id":7,"messages":[{"role":"developer","content":"s"},{"role":"user","content":[{"type":"text","text":"q"},{"type":"text","text":"r"}]},{"role":"assistant","content":"a"}]}""", "system:s|user:qr|assistant:a")]
    [InlineData("""{"conversations":[{"from":"human","value":"q"},{"from":"gpt","value":"a"},{"from":"human","value":"r"},{"from":"gpt","value":"b"}]}""", "user:q|assistant:a|user:r|assistant:b")]
    [InlineData("""{"conversations":[{"from":"system","value":"s"},{"from":"user","value":"q"},{"from":"assistant","value":"a"}]}""", "system:s|user:q|assistant:a")]
    [InlineData("""{"instruction":"i","input":"n","output":"o"}""", "user:i\n\nn|assistant:o")]
    [InlineData("""{"instruction":"i","input":"","output":"o"}""", "user:i|assistant:o")]
    [InlineData("""{"instruction":"i","output":"o"}""", "user:i|assistant:o")]
    [InlineData("""{"messages":[{"role":"user","content":"q"},{"role":"assistant","content":null,"tool_calls":[{"id":"1","type":"function","function":{"name":"f","arguments":"{\"x\": 1}"}}]},{"role":"tool","content":"7"},{"role":"assistant","content":"a"}]}""",
        "user:q|assistant:<tool_call>\n{\"name\": \"f\", \"arguments\": {\"x\": 1}}\n</tool_call>|tool:7|assistant:a")]
    [InlineData("""{"messages":[{"role":"user","content":"q"},{"role":"assistant","content":"wait","tool_calls":[{"function":{"name":"f","arguments":{"x":[1]}}},{"name":"g"}]},{"role":"tool","content":"7"},{"role":"tool","content":"8"},{"role":"assistant","content":"a"}]}""",
        "user:q|assistant:wait\n<tool_call>\n{\"name\": \"f\", \"arguments\": {\"x\":[1]}}\n</tool_call>\n<tool_call>\n{\"name\": \"g\", \"arguments\": {}}\n</tool_call>|tool:7|tool:8|assistant:a")]
    public void A_conversation_comes_in_several_shapes(string json, string expected) =>
        Assert.Equal(expected, string.Join('|', Assert.Single(Read(json)).Messages.Select(message => $"{message.Role}:{message.Content}")));

    [Fact]
    public void Turns_of_weight_0_are_read_and_not_learned() => Assert.Equal([true, false, true, true],
        Assert.Single(Read($$"""{"messages":[{{Asked}},{"role":"assistant","content":"a","weight":0},{{Asked}},{"role":"assistant","content":"b","weight":1}]}"""))
            .Messages.Select(message => message.IsLearned));

    [Theory]
    [InlineData("""{"messages":[{"role":"bot","content":"q"}]}""", "messages.0.role is \"bot\"; known are system, user, assistant and tool")]
    [InlineData("""{"conversations":[{"from":"alien","value":"q"}]}""", "conversations.0.from is \"alien\"; known are human, gpt, system and tool")]
    [InlineData("""{"messages":[{"role":"user","content":"q"},{"role":"assistant","content":""}]}""", "turn 2 (of assistant) is empty; remove the conversation, or give the turn a text")]
    [InlineData("""{"instruction":"i","output":""}""", "turn 2 (of assistant) is empty; remove the conversation, or give the turn a text")]
    [InlineData("""{"messages":[{"role":"user","content":"q"}]}""", "has no turn of assistant, so that there is nothing to learn; add the answer")]
    [InlineData("""{"messages":[]}""", "has no turns; a conversation needs one of a user and one of the assistant")]
    [InlineData("""{"messages":[{"role":"assistant","content":"a"}]}""", "turn 1 is of assistant and the first; a turn of system may come first, then user and assistant take turns, and tool answers assistant")]
    [InlineData("""{"messages":[{"role":"user","content":"q"},{"role":"user","content":"q"}]}""", "turn 2 is of user after one of user; a turn of system may come first, then user and assistant take turns, and tool answers assistant")]
    [InlineData("""{"messages":[{"role":"user","content":"q"},{"role":"assistant","content":"a"},{"role":"system","content":"s"}]}""", "turn 3 is of system after one of assistant; a turn of system may come first, then user and assistant take turns, and tool answers assistant")]
    [InlineData("""{"messages":[{"role":"user","content":"q"},{"role":"assistant","content":"a"},{"role":"user","content":"q"}]}""", "ends with a turn of user, which nothing answers; add the answer, or remove the turn")]
    [InlineData("""{"messages":[{"content":"q"}]}""", "messages.0.role is missing")]
    [InlineData("""{"messages":["q"]}""", "messages.0 is a text, not an object")]
    [InlineData("""{"messages":"q"}""", "messages is a text, not a list")]
    [InlineData("""{"messages":[{"role":"user","content":7}]}""", "messages.0.content is a number, not a text")]
    [InlineData("""{"messages":[{"role":"user","content":[{"type":"image_url"}]}]}""", "messages.0.content.0 is no part of type text; only text is learned")]
    [InlineData("""{"messages":[{"role":"user","content":[{"type":1}]}]}""",
        "messages.0.content.0 is no part of type text; only text is learned")]
    [InlineData("""{"messages":[{"role":"user","content":"q","weight":2}]}""", "messages.0.weight is 2, and must be 0 (read only) or 1 (learned)")]
    [InlineData("""{"messages":[{"role":"user","content":"\ud800"}]}""", "messages.0.content is not valid Unicode: ")]
    [InlineData("""{"text":"q","n":1}""", "has no conversation; it needs messages (role, content), conversations (from, value) or instruction and output, and has text, n")]
    [InlineData("""["q"]""", "is a list, not an object; each record is one JSON object")]
    [InlineData("""{"messages":""", "is not valid JSON: ")]
    public void What_is_no_conversation_is_refused_with_its_line(string json, string problem)
    {
        var good = """{"instruction":"i","output":"o"}""";
        var error = Assert.Throws<UserException>(() => Read($"{good}\n\n{json}\n"));
        Assert.StartsWith($"{folder["talks.jsonl"]}, line 3: {problem}", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Texts_hold_no_conversations()
    {
        folder.Write("talks.txt", "text");
        var source = new SourceOptions { Path = folder["talks.txt"], Format = SourceFormat.Chat };
        Assert.Equal($"data.train.0.path: \"{folder["talks.txt"]}\" is read as text, and format \"chat\" has conversations in JSON lines "
            + "(.jsonl) or Parquet (.parquet); name such a file",
            Assert.Throws<UserException>(() => ConversationFiles.Open(source, "data.train.0")).Message);
    }

    [Fact]
    public void Parquet_holds_lists_of_turns_texts_of_JSON_or_columns()
    {
        string[]?[] roles = [["user", "assistant"], ["system", "user", "assistant"]], said = [["q", "a"], ["s", "r", "b"]];
        WriteParquet(new GroupNode("schema", Repetition.Required, [List("messages", Text("role"), Text("content"))]), roles, said);
        Assert.Equal(["user:q|assistant:a", "system:s|user:r|assistant:b"], ReadParquet());
        string?[] instructions = ["i", "j"], inputs = ["n", null], outputs = ["o", "p"];
        WriteParquet(null, instructions, inputs, outputs);
        Assert.Equal(["user:i\n\nn|assistant:o", "user:j|assistant:p"], ReadParquet());
        WriteParquet(null, instructions, inputs, new string?[] { "o", "" });
        Assert.Equal($"{folder["talks.parquet"]}, row 2: turn 2 (of assistant) is empty; remove the conversation, or give the turn a text",
            Assert.Throws<UserException>(() => ReadParquet()).Message);
        ParquetTable.Write(folder["talks.parquet"], [new("messages", ParquetKind.Text)],
            [["[{\"role\":\"user\",\"content\":\"q\"},{\"role\":\"assistant\",\"content\":\"a\"}]"]]);
        Assert.Equal(["user:q|assistant:a"], ReadParquet());
        ParquetTable.Write(folder["talks.parquet"], [new("text", ParquetKind.Text)], [["q"]]);
        Assert.EndsWith("or instruction and output, and has text", Assert.Throws<UserException>(() => ReadParquet()).Message,
            StringComparison.Ordinal);
        folder.Write("talks.parquet", "PAR1 but damaged PAR1");
        Assert.StartsWith($"{folder["talks.parquet"]} cannot be read as Parquet: ",
            Assert.Throws<UserException>(() => ReadParquet()).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Turns_of_Parquet_have_tool_calls()
    {
        string[]?[] roles = [["user", "assistant", "tool", "assistant"]], said = [["q", "wait", "7", "a"]];
        WriteParquet(
            new GroupNode("schema", Repetition.Required,
                [List("messages", Text("role"), Text("content"), List("tool_calls", Text("name"), Text("arguments")))]),
            roles, said, OfFirstAnswer("f"), OfFirstAnswer("{\"x\": 1}"));
        Assert.Equal(
            ["user:q|assistant:wait\n<tool_call>\n{\"name\": \"f\", \"arguments\": {\"x\": 1}}\n</tool_call>|tool:7|assistant:a"],
            ReadParquet());
    }

    [Fact]
    public void Half_of_a_surrogate_pair_in_a_text_of_JSON_is_refused_with_its_row()
    {
        ParquetTable.Write(folder["talks.parquet"], [new("messages", ParquetKind.Text)],
        [
            ["""[{"role":"user","content":"q"},{"role":"assistant","content":"a"}]"""],
            ["""[{"role":"user","content":"\ud800"},{"role":"assistant","content":"a"}]"""],
        ]);
        Assert.Equal($"{folder["talks.parquet"]}, row 2: has a text that is not valid Unicode: half of a surrogate pair",
            Assert.Throws<UserException>(() => ReadParquet()).Message);
    }

    private static Node Text(string name) =>
        new PrimitiveNode(name, Repetition.Optional, LogicalType.String(), PhysicalType.ByteArray);

    private static Node List(string name, params Node[] fields) => new GroupNode(name, Repetition.Optional,
        [new GroupNode("list", Repetition.Repeated, [new GroupNode("element", Repetition.Optional, fields)])], LogicalType.List());

    /// <summary>A column of the calls in a row of four turns, of which the second has one.</summary>
    private static Nested<Nested<string>?[]>?[][] OfFirstAnswer(string text) =>
        [[new(null!), new([new(text)]), new([]), new(null!)]];

    private void WriteParquet(GroupNode? schema, params object[] columns)
    {
        using var properties = WriterProperties.GetDefaultWriterProperties();
        using var writer = schema is not null ? new ParquetFileWriter(folder["talks.parquet"], schema, properties)
            : new ParquetFileWriter(folder["talks.parquet"],
                [new Column<string>("instruction"), new Column<string>("input"), new Column<string>("output")]);
        using var group = writer.AppendRowGroup();
        foreach (var column in columns)
            if (column is string[]?[] lists)
                group.NextColumn().LogicalWriter<Nested<string>?[]>().WriteBatch([.. lists.Select(
                    texts => texts!.Select(text => (Nested<string>?)new Nested<string>(text)).ToArray())]);
            else if (column is string?[] texts)
                group.NextColumn().LogicalWriter<string?>().WriteBatch(texts);
            else
                group.NextColumn().LogicalWriter<Nested<Nested<string>?[]>?[]>().WriteBatch((Nested<Nested<string>?[]>?[][])column);
        writer.Close();
    }

    private IReadOnlyList<string> ReadParquet() => [.. ConversationFiles.Open(
        new SourceOptions { Path = folder["talks.parquet"], Format = SourceFormat.Chat }, "").Conversations()
        .Select(talk => string.Join('|', talk.Messages.Select(message => $"{message.Role}:{message.Content}")))];

    private IReadOnlyList<Data.Chat.Conversation> Read(string lines)
    {
        folder.Write("talks.jsonl", lines);
        return [.. ConversationFiles.Open(new SourceOptions { Path = folder["talks.jsonl"], Format = SourceFormat.Chat }, "").Conversations()];
    }
}
