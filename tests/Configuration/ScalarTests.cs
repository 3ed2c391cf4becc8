using System.Globalization;
using FsCheck;
using FsCheck.Fluent;

namespace Trainer.Configuration.Tests;

public sealed class ScalarTests
{
    public sealed record Scalars
    {
        public int Int { get; init; }

        public long Long { get; init; }

        public double Double { get; init; }

        public float Float { get; init; }

        public bool Bool { get; init; }

        public string String { get; init; } = "";

        public SampleFormat Enum { get; init; }

        public int? MaybeInt { get; init; } = 1;

        public double? MaybeDouble { get; init; }

        public SampleFormat? MaybeEnum { get; init; }

        public string? MaybeString { get; init; } = "default";

        public IReadOnlyList<double?> Holes { get; init; } = [];
    }

    [Theory]
    [InlineData("int", "1e3", 1000)]
    [InlineData("int", "100.0", 100)]
    [InlineData("int", "-2147483648", int.MinValue)]
    [InlineData("int", "\"12\"", 12)]
    [InlineData("long", "9223372036854775807", long.MaxValue)]
    [InlineData("long", "1e18", 1_000_000_000_000_000_000)]
    [InlineData("double", "1e-3", 1e-3)]
    [InlineData("double", "\"-2.5E4\"", -2.5e4)]
    [InlineData("float", "0.1", 0.1f)]
    [InlineData("bool", "true", true)]
    [InlineData("bool", "\"false\"", false)]
    [InlineData("string", "\"null\"", "null")]
    [InlineData("string", "\"1,5\"", "1,5")]
    [InlineData("enum", "\"dotnet-docs\"", SampleFormat.DotnetDocs)]
    [InlineData("maybeInt", "null", null)]
    [InlineData("maybeInt", "2", 2)]
    [InlineData("maybeEnum", "\"text\"", SampleFormat.Text)]
    [InlineData("maybeString", "null", null)]
    [InlineData("maybeString", "\"null\"", "null")]
    public void A_value_in_a_file_is_read(string name, string json, object? expected) =>
        Assert.Equal(expected, Get(ConfigurationJson.Deserialize<Scalars>($$"""{ "{{name}}": {{json}} }""", "x.json"), name));

    [Theory]
    [InlineData("int", "1.5", "1.5 is not a whole number")]
    [InlineData("int", "1e-30", "1e-30 is not a whole number")]
    [InlineData("int", "\"1_000\"", "\"1_000\" is not a whole number")]
    [InlineData("int", "\"1,000\"", "\"1,000\" is not a whole number")]
    [InlineData("int", "true", "true is not a whole number")]
    [InlineData("int", "2147483648", "2147483648 is too large; whole numbers here go from -2147483648 to 2147483647")]
    [InlineData("long", "1e19", "1e19 is too large; whole numbers here go from -9223372036854775808 to 9223372036854775807")]
    [InlineData("double", "\"NaN\"", "\"NaN\" is not a number")]
    [InlineData("double", "1e999", "1e999 is not a number")]
    [InlineData("double", "\"1,5\"", "\"1,5\" is not a number")]
    [InlineData("double", "\"\"", "\"\" is not a number")]
    [InlineData("float", "1e99", "1e99 is too large")]
    [InlineData("bool", "1", "1 is not true or false")]
    [InlineData("bool", "\"True\"", "\"True\" is not true or false")]
    [InlineData("string", "true", "true is not text (in x.json:1); put it in quotes")]
    [InlineData("string", "null", "null is given where text is expected")]
    [InlineData("enum", "\"Text\"", "\"Text\" is not allowed (in x.json:1); did you mean text? Allowed: text, dotnet-docs, jsonLines")]
    [InlineData("enum", "1", "1 is not allowed (in x.json:1); allowed: text, dotnet-docs, jsonLines")]
    [InlineData("int", "[1]", "a list is given where a whole number is expected")]
    public void A_wrong_value_in_a_file_is_a_problem(string name, string json, string problem)
    {
        var error = Assert.Throws<ConfigurationException>(() => ConfigurationJson.Deserialize<Scalars>($$"""{ "{{name}}": {{json}} }""", "x.json"));

        var where = problem.Contains("x.json", StringComparison.Ordinal) ? "" : " (in x.json:1)";
        Assert.Equal($"x.json: 1 problem\n  {name}: {problem}{where}", error.Message);
    }

    [Theory]
    [InlineData("bool=True", "bool", true)]
    [InlineData("enum=DOTNET-docs", "enum", SampleFormat.DotnetDocs)]
    [InlineData("string=5", "string", "5")]
    [InlineData("string=", "string", "")]
    [InlineData("string=a=b", "string", "a=b")]
    [InlineData("string=null", "string", "null")]
    [InlineData("maybeString=null", "maybeString", null)]
    [InlineData("maybeInt=null", "maybeInt", null)]
    [InlineData("maybeDouble=1e-3", "maybeDouble", 1e-3)]
    public void A_value_in_an_override_is_read_without_regard_to_case(string text, string name, object? expected)
    {
        using var workspace = new Workspace();
        var path = workspace.Write("x.json", "{}");

        Assert.Equal(expected, Get(ConfigurationLoader.Load<Scalars>(path, [text], new Dictionary<string, string>()).Value, name));
    }

    [Fact]
    public void The_culture_of_the_machine_plays_no_part()
    {
        var culture = (CultureInfo)CultureInfo.InvariantCulture.Clone();
        culture.NumberFormat.NumberDecimalSeparator = ",";
        var before = CultureInfo.CurrentCulture;
        CultureInfo.CurrentCulture = culture;
        try
        {
            var value = ConfigurationJson.Deserialize<Scalars>("""{ "double": 1.5 }""", "x.json");
            Assert.Equal(1.5, value.Double);
            Assert.Contains("\"double\": 1.5", ConfigurationJson.Serialize(value));
        }
        finally
        {
            CultureInfo.CurrentCulture = before;
        }
    }

    [Fact]
    public void Every_scalar_survives_a_round_trip()
    {
        Prop.ForAll<Tuple<int, long, NormalFloat, bool, string, double?>>(given =>
        {
            var (number, whole, real, truth, text, hole) = given;
            var value = new Scalars
            {
                Int = number, Long = whole, Double = real.Get, Float = number / 3f, Bool = truth, String = Clean(text), MaybeString = null,
                MaybeInt = truth ? null : number, Enum = SampleFormat.JsonLines, MaybeEnum = truth ? SampleFormat.DotnetDocs : null,
                Holes = [hole is { } filled && double.IsFinite(filled) ? filled : null, 1],
            };
            var read = ConfigurationJson.Deserialize<Scalars>(ConfigurationJson.Serialize(value), "x.json");
            return value.Holes.SequenceEqual(read.Holes) && value with { Holes = read.Holes } == read;
        }).QuickCheckThrowOnFailure();
    }

    /// <summary>Text that UTF-8 can hold: no lone surrogates.</summary>
    private static string Clean(string? text) => string.Concat((text ?? "").EnumerateRunes().Select(rune => rune.ToString()));

    private static object? Get(Scalars value, string name) =>
        typeof(Scalars).GetProperties().Single(property => property.Name.Equals(name, StringComparison.OrdinalIgnoreCase)).GetValue(value);
}
