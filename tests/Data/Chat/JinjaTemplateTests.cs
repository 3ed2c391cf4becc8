using System.Text.Json;
using System.Text.Json.Nodes;
using Trainer.Configuration;
using Trainer.Data.Chat;
using Trainer.Tests;

namespace Trainer.Data.Tests.Chat;

/// <summary>The engine against Jinja: Fixtures/expressions.json is written by fixtures.py.</summary>
public sealed class JinjaTemplateTests
{
    private static readonly JsonObject Fixture = (JsonObject)JsonNode.Parse(
        File.ReadAllText(Repository.PathOf("tests", "Data", "Chat", "Fixtures", "expressions.json")))!;

    public static TheoryData<string, string?> Cases { get; } = [.. Fixture["cases"]!.AsArray().Select(
        one => ((string)one!["template"]!, (string?)one["text"]))];

    [Theory]
    [MemberData(nameof(Cases))]
    public void What_Jinja_renders_is_rendered_and_what_it_refuses_is_refused(string template, string? expected)
    {
        if (expected is not null) Assert.Equal(expected, Render(template));
        else Assert.Contains("line 1: ", Assert.Throws<UserException>(() => Render(template)).Message);
    }

    [Theory]
    [InlineData("a\n{% call m() %}", 2, "the tag {% call %} is not supported here; if, for, set, macro, break, continue and generation are")]
    [InlineData("{% raw %}", 1, "the tag {% raw %}")]
    [InlineData("{% include 'x' %}", 1, "the tag {% include %}")]
    [InlineData("{% for x in y recursive %}{% endfor %}", 1, "recursive loops are not supported; use a macro")]
    [InlineData("{{ f(*x) }}", 1, "arguments with * are not supported; write them one by one")]
    [InlineData("{# a\n\n #}{{ 1 $ 2 }}", 3, "the character '$' means nothing here")]
    [InlineData("{{ 1 }", 1, "")]
    [InlineData("{% if x %}\n{{ 1 }}", 2, "found 'the end of the template' where {% endif %} is expected")]
    [InlineData("{{ 0x1F }}", 1, "the number 0x is not supported; write a decimal one of at most 64 bits")]
    [InlineData("{{ 99999999999999999999 }}", 1, "is not supported; write a decimal one of at most 64 bits")]
    [InlineData("{{ '\\N{DASH}' }}", 1, "the escape \\N is not supported")]
    public void Syntax_that_is_not_supported_is_refused_at_once(string template, int line, string message)
    {
        UserException error = Assert.Throws<UserException>(() => new JinjaTemplate(template));
        Assert.StartsWith($"chat template, line {line}: ", error.Message);
        Assert.Contains(message, error.Message);
    }

    [Theory]
    [InlineData("{{ word | wordwrap }}", "the filter 'wordwrap' is not supported")]
    [InlineData("{{ word is filter }}", "the test 'filter' is not supported")]
    [InlineData("{{ word.format() }}", "the method 'format' of a string is not supported")]
    [InlineData("{{ user.copy() }}", "the method 'copy' of a dict is not supported")]
    [InlineData("{{ loop }}{% for n in numbers %}{{ loop.cycle(1, 2) }}{% endfor %}", "loop.cycle is not supported")]
    [InlineData("{{ cycler(1, 2) }}", "'cycler' is not supported")]
    [InlineData("{% macro m() %}{{ varargs }}{% endmacro %}{{ m() }}", "'varargs' is not supported")]
    [InlineData("{{ word.__class__ }}", "the attribute '__class__' is not allowed")]
    [InlineData("{{ '%s' % word }}", "formatting with % is not supported; use ~ to join texts")]
    [InlineData("{{ range(3) }}", "a range cannot be written as text")]
    [InlineData("{{ user.items() }}", "a view of a dict cannot be written as text")]
    [InlineData("{{ word.upper }}", "a function cannot be written as text")]
    [InlineData("{{ {none: 1} }}", "none cannot be a key; strings and whole numbers can")]
    [InlineData("{{ 2 ** 64 }}", "a whole number of more than 64 bits")]
    [InlineData("{{ 9223372036854775807 + 1 }}", "a whole number of more than 64 bits")]
    [InlineData("{{ 9.9e99 | int }}", "a whole number of more than 64 bits")]
    [InlineData("{{ missing.more }}", "'missing' is undefined")]
    [InlineData("{{ user.missing.more }}", "'missing' of a dict is undefined")]
    public void What_is_not_supported_is_refused_when_it_is_reached(string template, string message)
    {
        Assert.Equal("", Render($"{{% if empty %}}\n{template}{{% endif %}}"));
        Assert.Equal(
            $"chat template, line 3: {message}",
            Assert.Throws<UserException>(() => Render($"{{% if yes %}}\n\n{template}{{% endif %}}")).Message);
    }

    [Theory]
    [InlineData("{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}{% endfor %}", "does not end within")]
    [InlineData("{% for a in range(2000000000) %}{% endfor %}", "does not end within")]
    [InlineData("{% for a in range(100000) %}{{ text }}{% endfor %}", "the output has more than")]
    [InlineData("{{ 'a' * 999999999 }}", "does not end within")]
    [InlineData("{{ 'a' * 2000000 }}", "more than the 1048576 that are allowed")]
    [InlineData("{{ [1] * 999999999 }}", "does not end within")]
    [InlineData("{% set ns = namespace(s='ab') %}{% for a in range(99) %}{% set ns.s = ns.s ~ ns.s %}{% endfor %}", "that are allowed")]
    [InlineData("{% set ns = namespace(s=[1]) %}{% for a in range(99) %}{% set ns.s = [ns.s, ns.s] %}{% endfor %}{{ ns.s }}", "")]
    [InlineData("{% set ns = namespace(s=[1]) %}{% for a in range(99) %}{% set ns.s = [ns.s, ns.s] %}{% endfor %}{{ ns.s | tojson }}", "")]
    [InlineData(
        "{% set ns = namespace(s=1, t=1) %}{% for a in range(99) %}{% set ns.s = [ns.s, ns.s] %}{% set ns.t = [ns.t, ns.t] %}" +
        "{% endfor %}{{ ns.s == ns.t }}{{ ns.s < ns.t }}", "")]
    [InlineData("{% set ns = namespace(s=1) %}{% for a in range(99999) %}{% set ns.s = [ns.s] %}{% endfor %}{{ ns.s | tojson }}", "too deeply")]
    [InlineData("{% set ns = namespace(s=1) %}{% for a in range(99999) %}{% set ns.s = [ns.s] %}{% endfor %}{{ ns.s }}", "")]
    [InlineData("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", "levels of calls")]
    [InlineData("{% macro m() %}{{ m() }}{{ m() }}{% endmacro %}{{ m() }}", "levels of calls")]
    [InlineData("{% macro m(n) %}{% if n %}{{ m(n - 1) }}{{ m(n - 1) }}{% endif %}{% endmacro %}{{ m(99) }}", "does not end within")]
    [InlineData("{% set s = text * 10000 %}{% for a in range(100000) %}{% set b = 'q' in s %}{% endfor %}", "does not end within")]
    [InlineData("{% set s = text * 10000 %}{% for a in range(100000) %}{% set b = s | length %}{% endfor %}", "does not end within")]
    [InlineData("{{ ('\n' * 1000) | indent(1000000) }}", "does not end within")]
    [InlineData("{{ strftime_now('%d' * 500000) }}", "")]
    public void What_would_not_end_is_refused(string template, string message)
    {
        UserException? error = Record.Exception(() => Render(template)) as UserException;
        Assert.True(message.Length == 0 || error?.Message.Contains(message) == true, error?.Message ?? "nothing was refused");
    }

    [Theory]
    [InlineData("(", "1", ")")]
    [InlineData("[", "1", "]")]
    [InlineData("not ", "1", "")]
    [InlineData("-", "1", "")]
    [InlineData("{1:", "1", "}")]
    [InlineData("", "1", " if 1 else 2")]
    [InlineData("1 if 1 else ", "1", "")]
    [InlineData("", "1", "+1")]
    [InlineData("", "a", ".a")]
    [InlineData("", "a", "(1)")]
    [InlineData("", "a", "|trim")]
    [InlineData("", "a", " is defined")]
    public void Deep_nesting_is_refused_rather_than_fatal(string before, string inner, string after)
    {
        string expression = string.Concat(Enumerable.Repeat(before, 50_000)) + inner + string.Concat(Enumerable.Repeat(after, 50_000));
        Assert.Throws<UserException>(() => Render($"{{{{ {expression} }}}}"));
        Assert.Throws<UserException>(() => Render(string.Concat(Enumerable.Repeat("{% if 1 %}", 50_000))));
        Assert.Throws<UserException>(() => Render("{% if 1 %}" + string.Concat(Enumerable.Repeat("{% elif 1 %}", 50_000)) + "{% endif %}"));
    }

    [Fact]
    public void A_template_of_more_than_a_mebibyte_is_refused() =>
        Assert.Throws<UserException>(() => new JinjaTemplate(new string('a', (1 << 20) + 1)));

    private static string Render(string template)
    {
        Dictionary<string, object?> variables = Fixture["variables"]!.AsObject().ToDictionary(entry => entry.Key, entry => Value(entry.Value));
        variables["raise_exception"] = new JinjaFunction(arguments => throw new UserException(
            $"line 1: {arguments.Require("message")}"));
        variables["strftime_now"] = new JinjaFunction(arguments =>
            ChatTemplate.Format(new(2024, 7, 6, 5, 4, 3, TimeSpan.Zero), (string)arguments.Require("format")!));
        return new JinjaTemplate(template).Render(variables);
    }

    private static object? Value(JsonNode? node)
    {
        switch (node)
        {
            case JsonArray array: return new JinjaList(ListKind.List, array.Select(Value));
            case JsonObject json:
                JinjaDict dict = [];
                foreach ((string key, JsonNode? value) in json) dict[key] = Value(value);
                return dict;
            default:
                return node?.GetValueKind() switch
                {
                    null => null,
                    JsonValueKind.String => node.GetValue<string>(),
                    JsonValueKind.Number => node.AsValue().TryGetValue(out long number) ? (object)number : node.GetValue<double>(),
                    var kind => kind == JsonValueKind.True,
                };
        }
    }
}
