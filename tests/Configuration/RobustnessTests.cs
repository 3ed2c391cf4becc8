using FsCheck;
using FsCheck.Fluent;

namespace Trainer.Configuration.Tests;

/// <summary>Whatever is given, a configuration comes out or all its problems do; nothing else is thrown.</summary>
public sealed class RobustnessTests : IDisposable
{
    private const string Recipe = """
        { "name": "x", // comment
          "model": { "architecture": "decoder", "attention": { "heads": 6, "keyValueHeads": null }, "position": { "type": "rotary", "scaling": { "factor": 2e0 } } },
          "data": { "train": [ { "path": "ä" }, ], "weights": { "a": 1 } }, "optimizer": { "betas": [0.1, 0.2] } }
        """;

    private readonly Workspace workspace = new();

    public void Dispose() => workspace.Dispose();

    [Fact]
    public void Any_overrides_load_or_are_reported()
    {
        var names = Gen.Elements(
            "name", "model", "architecture", "attention", "heads", "keyValueHeads", "position", "type", "scaling", "factor", "data",
            "train", "validation", "weights", "optimizer", "betas", "training", "samples", "0", "1", "2", "path", "", "a:b");
        var values = Gen.Elements("", "null", "1", "-1", "x", "[]", "{}", "[1]", """{"type":"none"}""", "none", "learned", "encoder", "sgd", "true", "[{}]", "[null]", """["\ud800"]""");
        var overrides = from path in Gen.NonEmptyListOf(names) from value in values select $"{string.Join('.', path.Take(4))}={value}";
        workspace.Write("x.json", Recipe);

        Prop.ForAll(Gen.ListOf(overrides).ToArbitrary(), given => LoadsOrReports([.. given.Take(6)])).Check(
            Config.QuickThrowOnFailure.WithMaxTest(1000));
    }

    [Fact]
    public void Any_damage_to_a_file_loads_or_is_reported()
    {
        var damages = from at in Gen.Choose(0, Recipe.Length - 1) from length in Gen.Choose(0, 12) from text in Gen.Elements(
            "", "{", "]", "\"", ",", "null", "\\u", "\\ud800", "\0") select (at, length, text);

        Prop.ForAll(damages.ToArbitrary(), damage =>
        {
            workspace.Write("x.json",
                string.Concat(Recipe.AsSpan(0, damage.at), damage.text, Recipe.AsSpan(Math.Min(Recipe.Length, damage.at + damage.length))));
            return LoadsOrReports([]);
        }).Check(Config.QuickThrowOnFailure.WithMaxTest(1000));
    }

    private bool LoadsOrReports(string[] overrides)
    {
        try
        {
            return workspace.Load("x.json", overrides).Value is not null;
        }
        catch (ConfigurationException error)
        {
            return error.Problems.Count > 0;
        }
    }
}
