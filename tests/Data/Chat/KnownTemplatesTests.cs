using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;
using Trainer.Configuration;
using Trainer.Data.Chat;
using Trainer.Data.Tokenizers;
using Trainer.Tests;

namespace Trainer.Data.Tests.Chat;

/// <summary>The templates by name against the published ones: Fixtures/known_templates.json is written by make_chat_templates.py, and
/// against transformers' own tokens, chat_ids.json by make_chat_ids.py.</summary>
public sealed class KnownTemplatesTests : IDisposable
{
    private static readonly string Fixtures = Repository.PathOf("tests", "Data", "Chat", "Fixtures");

    private static readonly JsonNode Fixture = JsonNode.Parse(File.ReadAllText(Path.Combine(Fixtures, "known_templates.json")))!;

    internal static readonly IReadOnlyList<ChatMessage[]> Conversations =
        [.. Fixture["conversations"]!.AsArray().Select(Messages)];

    private readonly TemporaryFolder folder = new();

    public static TheoryData<string> Names { get; } = [.. KnownChatTemplate.Names];

    public void Dispose() => folder.Dispose();

    private static ChatMessage[] Messages(JsonNode? turns) =>
        [.. turns!.AsArray().Select(turn => new ChatMessage((string)turn![0]!, (string)turn[1]!))];

    [Theory]
    [MemberData(nameof(Names))]
    public void A_template_writes_what_the_published_one_writes(string name)
    {
        var known = KnownChatTemplate.Find(name)!;
        var expected = Fixture["templates"]![name]!;
        var (bos, eos) = ((string?)expected["bos"], (string?)expected["eos"]);
        foreach (var template in new[] { new ChatTemplate(known.Source, bos, eos), new ChatTemplate(known.WithoutMarks, bos, eos) })
            foreach (var (index, messages) in Conversations.Index())
                AssertWrites(expected["rows"]![index], messages, template, $"{name}, conversation {index}");
    }

    private static void AssertWrites(JsonNode? expected, ChatMessage[] messages, ChatTemplate template, string place)
    {
        if (expected is null)
        {
            Assert.Throws<ChatMessagesException>(() => template.Render(messages, false));
            return;
        }
        var (whole, prompt) = (template.Render(messages, false), template.Render(messages[..^1], true));
        if (expected is JsonObject)
            Assert.Equal(((string?)expected["text"], (string?)expected["prompt"]), (whole, prompt));
        else
            Assert.True((string?)expected == Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes($"{whole}\0{prompt}")))[..16],
                $"{place}: {whole}");
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void The_tokens_are_those_of_transformers(string name)
    {
        JsonNode fixture = JsonNode.Parse(File.ReadAllText(Path.Combine(Fixtures, "chat_ids.json")))!;
        Tokenizer tokenizer = Tokenizer.Load(Path.Combine(Fixtures, "chat_tokenizer.json"));
        ConversationTemplate template = ConversationTemplate.Open(new ConversationOptions { Template = name });
        ConversationEncoder encoder = new(template, tokenizer, LearnedTurns.All);
        ChatTemplate prompts = new(KnownChatTemplate.Find(name)!.Source, template.BosToken, template.EosToken);
        foreach (var (index, messages) in fixture["conversations"]!.AsArray().Select(Messages).Index())
        {
            int[] Whole() => encoder.Encode(new Conversation(messages, "a", "line", index)).Ids;
            if (fixture["templates"]![name]![index] is { } expected)
                AssertTokens(expected, Whole(), ConversationEncoder.EncodePrompt(prompts, tokenizer, messages[..^1]), $"{name}, {index}");
            else
                Assert.Throws<UserException>(Whole);
        }
    }

    private static void AssertTokens(JsonNode expected, int[] whole, int[] prompt, string place)
    {
        if (expected is JsonObject)
        {
            Assert.Equal(expected["ids"]!.AsArray().Select(id => (int)id!), whole);
            Assert.Equal(expected["prompt"]!.AsArray().Select(id => (int)id!), prompt);
            return;
        }
        string text = $"{string.Join(',', whole)};{string.Join(',', prompt)}";
        Assert.True((string?)expected == Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(text)))[..16], $"{place}: {text}");
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void What_an_assistant_writes_is_its_content_and_the_end_of_its_turn(string name)
    {
        var template = ConversationTemplate.Open(new ConversationOptions { Template = name });
        ChatMessage[] messages = [new("user", "one"), new("assistant", " two"), new("user", "three"), new("assistant", "four")];
        var rendered = template.Render(new Conversation(messages, "a", "line", 1), template.SpecialTokens);
        var trims = name is "llama3" or "gemma";
        Assert.Equal([$"{(trims ? "" : " ")}two{template.EosToken}", $"four{template.EosToken}"],
            rendered.Answers.Select(answer => rendered.Text[answer.Start..answer.End]));
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void A_published_template_is_recognised_by_what_it_writes(string name)
    {
        var expected = Fixture["templates"]![name]!;
        var template = ConversationTemplate.Open(new ConversationOptions
        {
            Template = Config(File.ReadAllText(Path.Combine(Fixtures, $"{expected["file"]}.jinja")), (string?)expected["bos"],
                (string?)expected["eos"]),
        });
        Assert.Equal(KnownChatTemplate.Find(name)!.SpecialTokens, template.SpecialTokens);
        var rendered = template.Render(new Conversation([new("user", "one"), new("assistant", "two")], "a", "line", 1), []);
        Assert.Equal($"two{KnownChatTemplate.Find(name)!.EosToken}", rendered.Text[rendered.Answers[0].Start..rendered.Answers[0].End]);
    }

    [Fact]
    public void A_template_with_generation_tags_says_itself_what_is_learned()
    {
        const string Source = "{% for m in messages %}{{ m.role }}:{% generation %}{{ m.content }}{% endgeneration %};{% endfor %}";
        var template = ConversationTemplate.Open(new ConversationOptions { Template = Config(Source, null, "</s>") });
        var rendered = template.Render(new Conversation([new("user", "a"), new("assistant", "b")], "a", "line", 1), []);
        Assert.Equal("user:a;assistant:b;", rendered.Text);
        Assert.Equal([(5, 6), (17, 18)], rendered.Answers);
    }

    [Fact]
    public void Another_template_is_refused_unless_all_is_learned()
    {
        var path = Config("{% for m in messages %}{{ m.content }}{{ eos_token }}{% endfor %}", null, "</s>");
        var error = Assert.Throws<UserException>(() => ConversationTemplate.Open(new ConversationOptions { Template = path }));
        Assert.Equal($"data.chat.template: the chat_template of {path} has no {{% generation %}}, which says what an assistant writes, and "
            + "is none of chatml, llama3, mistral, gemma, zephyr; put the assistant's turn between {% generation %} and "
            + "{% endgeneration %}, or set data.chat.learn to \"all\"", error.Message);
        var template = ConversationTemplate.Open(new ConversationOptions { Template = path, Learn = LearnedTurns.All });
        var conversation = new Conversation([new("user", "a"), new("assistant", "b")], "a", "line", 1);
        Assert.Equal([(0, 10)], template.Render(conversation, []).Learned(conversation, LearnedTurns.All));
    }

    [Theory]
    [InlineData("{{ gone.more }}", "'gone' is undefined")]
    [InlineData("{{ 1 / 0 }}", "a division by zero")]
    [InlineData("{% generation %}{{ 2 ** 64 }}{% endgeneration %}", "a whole number of more than 64 bits")]
    public void A_template_that_fails_names_the_conversation(string source, string problem)
    {
        var path = Config(source, null, "</s>");
        var template = ConversationTemplate.Open(new ConversationOptions { Template = path, Learn = LearnedTurns.All });
        var conversation = new Conversation([new("user", "a"), new("assistant", "b")], "talks.jsonl", "line", 7);
        var error = Assert.Throws<UserException>(() => template.Render(conversation, []));
        Assert.Equal($"talks.jsonl, line 7: the chat template \"{path}\" fails: chat template, line 1: {problem}", error.Message);
    }

    [Theory]
    [InlineData("""{"eos_token":"</s>"}""", "has no chat_template, or several")]
    [InlineData("""[]""", "holds no JSON object")]
    [InlineData("""{""", "cannot be read")]
    [InlineData("""{"eos_token":"</s>","eos_token":"<s>"}""", "cannot be read")]
    public void A_file_without_a_template_is_refused(string json, string problem)
    {
        var path = folder.Write("tokenizer_config.json", json);
        var error = Assert.Throws<UserException>(() => ConversationTemplate.Open(new ConversationOptions { Template = path }));
        Assert.StartsWith($"data.chat.template: {path} {problem}", error.Message, StringComparison.Ordinal);
    }

    private string Config(string template, string? bos, string? eos) => folder.Write("tokenizer_config.json",
        new JsonObject { ["chat_template"] = template, ["bos_token"] = bos, ["eos_token"] = new JsonObject { ["content"] = eos } }
            .ToJsonString());
}
