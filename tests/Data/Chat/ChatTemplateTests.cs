using System.Text.Json.Nodes;
using Trainer.Configuration;
using Trainer.Data.Chat;
using Trainer.Tests;

namespace Trainer.Data.Tests.Chat;

/// <summary>Templates as models have them: Fixtures/conversations.json is written by Jinja, through fixtures.py.</summary>
public sealed class ChatTemplateTests
{
    private const int Mutants = 60;

    private static readonly string Fixtures = Repository.PathOf("tests", "Data", "Chat", "Fixtures");

    private static readonly JsonArray Conversations =
        (JsonArray)JsonNode.Parse(File.ReadAllText(Path.Combine(Fixtures, "conversations.json")))!;

    // The day on which fixtures.py renders.
    private sealed class OneDay : TimeProvider
    {
        public override DateTimeOffset GetUtcNow() => new(2024, 7, 6, 5, 4, 3, TimeSpan.Zero);

        public override TimeZoneInfo LocalTimeZone => TimeZoneInfo.Utc;
    }

    public static TheoryData<string> Names { get; } =
        [.. Directory.EnumerateFiles(Fixtures, "*.jinja").Select(path => Path.GetFileNameWithoutExtension(path)).Order()];

    public static TheoryData<int> Cases { get; } = [.. Enumerable.Range(0, Conversations.Count)];

    [Theory]
    [MemberData(nameof(Cases))]
    public void A_conversation_is_written_as_Jinja_writes_it(int index)
    {
        JsonObject conversation = (JsonObject)Conversations[index]!;
        string name = (string)conversation["template"]!;
        ChatTemplate template = new(Source(name), (string?)conversation["bos"], (string?)conversation["eos"], new OneDay());
        ChatMessage[] messages = [.. conversation["messages"]!.AsArray().Select(
            message => new ChatMessage((string)message!["role"]!, (string)message["content"]!))];
        string Render() => template.Render(messages, (bool)conversation["prompts"]!);
        if ((string?)conversation["text"] is { } expected)
            Assert.Equal(expected, Render());
        else if (messages.Length == 0)
            Assert.Contains("is undefined", Assert.Throws<UserException>(Render).Message);
        else
            Assert.Equal((string?)conversation["error"], Assert.Throws<ChatMessagesException>(Render).Message);
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void A_damaged_template_renders_or_is_refused(string name)
    {
        string source = Source(name);
        Random random = new(name.Length);
        ChatMessage[] messages = [new("system", "a"), new("user", " b\n"), new("assistant", "<think>c</think>d"), new("user", "e")];
        for (int i = 0; i < Mutants; i++)
        {
            string mutant = source;
            for (int change = random.Next(4); change >= 0; change--) mutant = Mutate(mutant, random);
            Exception? error = Record.Exception(() => new ChatTemplate(mutant, "<s>", "</s>").Render(messages, true));
            Assert.True(error is null or UserException, $"{error}\n{mutant}");
        }
    }

    // Something is cut out, doubled, moved or put in.
    private static string Mutate(string text, Random random)
    {
        if (text.Length == 0) return "{{";
        string[] pieces =
        [
            "{{", "}}", "{%", "%}", "{#", "#}", "-", "(", ")", "[", "]", "{", "}", "'", "\"", "|", ".", ",", ":", "=", "==", "~", "+", "*",
            "//", "%", "\\", "\n", " not ", " in ", " is ", " if ", " else ", " and ", "loop", "messages", "none", "true", "0", "-1", "1.5",
            "[::-1]", "|length", "|tojson", "|list", ".items()", ".split()", "{% endif %}", "{% endfor %}", "{% for x in messages %}",
            "{% break %}", "é😀",
        ];
        int from = random.Next(text.Length), length = Math.Min(random.Next(1, 12), text.Length - from), to = random.Next(text.Length);
        string part = text.Substring(from, length);
        return random.Next(4) switch
        {
            0 => text.Remove(from, length),
            1 => text.Insert(to, part),
            2 => text.Remove(from, length).Insert(from, new([.. part.Reverse()])),
            _ => text.Insert(to, pieces[random.Next(pieces.Length)]),
        };
    }

    [Fact]
    public void Tokens_that_a_model_does_not_have_are_undefined() =>
        Assert.Equal("[]true", new ChatTemplate("[{{ bos_token }}]{{ (eos_token is undefined) | tojson }}").Render([], false));

    [Theory]
    [InlineData("%d %B %Y", "06 July 2024")]
    [InlineData("%-d/%-m %H:%M", "6/7 05:04")]
    public void Today_is_what_the_clock_says(string format, string expected) =>
        Assert.Equal(expected, new ChatTemplate($"{{{{ strftime_now('{format}') }}}}", clock: new OneDay()).Render([], false));

    [Fact]
    public void Messages_have_no_tools() =>
        Assert.Equal("True", new ChatTemplate(
            "{{ tools is none and messages[0].tool_calls is not defined and 'tool_calls' not in messages[0] }}")
            .Render([new("user", "a")], true));

    private static string Source(string name) => File.ReadAllText(Path.Combine(Fixtures, $"{name}.jinja"));
}
