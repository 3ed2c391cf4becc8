using Trainer.Configuration;
using Trainer.Data.Corpora;
using Trainer.Data.Tokenizers;

namespace Trainer.Data.Tests;

/// <summary>Options as bound by the configuration loader.</summary>
public sealed class LoadedOptionsTests : IDisposable
{
    private readonly TemporaryFolder folder = new();

    public void Dispose() => folder.Dispose();

    public sealed record Recipe
    {
        public required TokenizerOptions Tokenizer { get; init; }

        public required DataOptions Data { get; init; }
    }

    [Fact]
    public void Sections_bind_and_come_back_from_the_resolved_configuration()
    {
        var recipe = Load("""{"tokenizer":{"type":"character"},"data":{"train":[{"format":"dotnet-docs"},{"path":"a.txt"}],"validationFraction":0.2}}""", "data.train.1.path=b.txt");
        Assert.Equal(new CharacterTokenizerOptions(), recipe.Tokenizer);
        Assert.Equal([new SourceOptions { Format = SourceFormat.DotnetDocs }, new SourceOptions { Path = "b.txt" }], recipe.Data.Train);
        Assert.Equal((0.2, DataObjective.Causal), (recipe.Data.ValidationFraction, recipe.Data.Objective));
        Assert.Null(recipe.Data.Validation);
        Assert.Equal(recipe.Data.Train, Load(ConfigurationJson.Serialize(recipe)).Data.Train);
    }

    [Fact]
    public void A_tokenizer_file_is_named_by_its_path_alone()
    {
        var recipe = Load("""{"tokenizer":{"type":"file","path":"t.json"},"data":{"train":[{"path":"a.txt"}]}}""");
        Assert.Equal(new FileTokenizerOptions { Path = "t.json" }, recipe.Tokenizer);
        Assert.Equal(recipe.Tokenizer, Load(ConfigurationJson.Serialize(recipe)).Tokenizer);
        var error = Assert.Throws<ConfigurationException>(() => Load("""{"tokenizer":{"type":"file","path":" ","files":[]},"data":{"train":[{"path":"a.txt"}]}}"""));
        Assert.Contains("tokenizer.files", error.Problems.Select(problem => problem.Path));
    }

    [Fact]
    public void A_source_with_all_its_options_binds()
    {
        var recipe = Load("""{"tokenizer":{"type":"byte"},"data":{"train":[{"path":"a/*.parquet","format":"parquet","column":"a.b","weight":0.5},{"format":"dotnet-translations","language":"pt-BR","split":"validation","column":"source"}]}}""");
        Assert.Equal(
            [
                new SourceOptions { Path = "a/*.parquet", Format = SourceFormat.Parquet, Column = "a.b", Weight = 0.5 },
                new SourceOptions { Format = SourceFormat.DotnetTranslations, Language = "pt-BR", Split = SourceSplit.Validation,
                    Column = "source" },
            ], recipe.Data.Train);
        Assert.Equal(recipe.Data.Train, Load(ConfigurationJson.Serialize(recipe)).Data.Train);
    }

    [Fact]
    public void A_task_binds_and_is_checked()
    {
        const string Validation = """{"format":"synthetic","split":"validation","task":{"type":"needle","length":512}}""";
        var recipe = Load($$$"""{"tokenizer":{"type":"byte"},"data":{"train":[{"format":"synthetic","task":{"type":"copy","length":32,"minimumLength":4},"examples":500,"seed":7}],"validation":[{{{Validation}}}]}}""", "data.train.0.task.length=40");
        Assert.Equal([new SourceOptions { Format = SourceFormat.Synthetic, Task = new CopyTaskOptions { Length = 40, MinimumLength = 4 },
            Examples = 500, Seed = 7 }], recipe.Data.Train);
        Assert.Equal(recipe.Data.Train, Load(ConfigurationJson.Serialize(recipe)).Data.Train);
        var error = Assert.Throws<ConfigurationException>(() => Load(
            $$$"""{"tokenizer":{"type":"byte"},"data":{"train":[{"format":"synthetic","task":{"type":"associative-recall","pairs":9,"keys":8}},{"format":"synthetic","task":{"type":"needle","length":30}}],"validation":[{{{Validation}}}]}}"""));
        Assert.Equal(["data.train.0.task.pairs", "data.train.1.task.length"],
            error.Problems.Select(problem => problem.Path).Order(StringComparer.Ordinal));
    }

    [Fact]
    public void All_that_is_wrong_is_reported_with_its_path()
    {
        var error = Assert.Throws<ConfigurationException>(() => Load(
            """{"tokenizer":{"type":"charcter"},"data":{"train":[{"format":"txt"},{}],"validationFraction":1.5,"objective":"maskd"}}"""));
        Assert.Equal(
            ["data.objective", "data.train.0.format", "data.train.1.path", "data.validationFraction", "tokenizer.type"],
            error.Problems.Select(problem => problem.Path).Order(StringComparer.Ordinal));
    }

    private Recipe Load(string json, params string[] overrides) =>
        ConfigurationLoader.Load<Recipe>(folder.Write("recipe.json", json), overrides).Value;
}
