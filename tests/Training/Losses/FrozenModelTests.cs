using System.Text.Json;
using Trainer.Checkpoints;
using Trainer.Configuration;
using Trainer.Data;
using Trainer.Models;
using Trainer.Models.Attention.Patterns;
using Trainer.Models.Positions;
using Trainer.Training.Losses;

namespace Trainer.Training.Tests.Losses;

/// <summary>Two checkpoints of the same weights, which scale positions otherwise.</summary>
public sealed class FrozenModelTests : IDisposable
{
    private const string Setting = "distillation.teacher", What = "learned from";

    private readonly TinyRun tiny = new();
    private readonly Checkpoint plain;
    private readonly Checkpoint scaled;

    public FrozenModelTests()
    {
        using LanguageModel model = tiny.Recipe.Model.Build(tiny.Data.Tokenizer.VocabularySize);
        plain = Write("plain", model, new());
        scaled = Write("scaled", model, new() { Scaling = new LinearScaling { Factor = 2 } });
    }

    public void Dispose() => tiny.Dispose();

    [Fact]
    public void The_same_weights_with_other_options_are_another_model()
    {
        Recipe recipe = tiny.Recipe with { Distillation = new() { Teacher = plain.Directory, Cache = new() { TopK = 4 } } };
        string KeptFor(Checkpoint teacher) => TeacherCache.KeyOf(recipe, tiny.Data, teacher).FolderName;

        Assert.Equal(plain.WeightsSha256, scaled.WeightsSha256);
        Assert.Equal(FrozenModel.Of(plain), FrozenModel.Of(Checkpoint.Open(plain.Directory)));
        Assert.NotEqual(FrozenModel.IdentityOf(plain), FrozenModel.IdentityOf(scaled));
        Assert.NotEqual(KeptFor(plain), KeptFor(scaled));
    }

    [Fact]
    public void A_run_goes_on_with_the_same_options_or_where_its_file_says_nothing_of_them()
    {
        string path = Path.Combine(tiny.Root, "teacher.json");
        FrozenModel first = FrozenModel.Of(plain), other = FrozenModel.Of(scaled);
        first.ToFile("teacher.json").Write(path);
        first.RequireSameAs(path, Setting, What);

        string message = Assert.Throws<UserException>(() => other.RequireSameAs(path, Setting, What)).Message;
        File.WriteAllText(path, JsonSerializer.Serialize(new { first.Model, first.Sha256 }, JsonSerializerOptions.Web));
        other.RequireSameAs(path, Setting, What);

        Assert.StartsWith(
            $"distillation.teacher: the run has learned from {plain.Directory}, and the model in {scaled.Directory} has the same " +
            "weights, but other options", message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_pattern_that_counts_from_a_row_s_beginning_is_no_teacher_of_packed_documents()
    {
        DecoderOptions sinks = (DecoderOptions)tiny.Recipe.Model with
        {
            Attention = tiny.Recipe.Model.Attention with { Pattern = new SlidingOptions { Window = 4, Sinks = 2 } },
        };
        using LanguageModel model = sinks.Build(tiny.Data.Tokenizer.VocabularySize);
        string teacher = Checkpoint.Write(
            tiny.RunPath("sinks"), new() { Name = "sinks", Model = sinks, Tokenizer = tiny.Recipe.Tokenizer, Data = tiny.Recipe.Data },
            tiny.Data.Tokenizer, model).Directory;
        Checkpoint Find(DataPacking packing) => FrozenModel.Find(
            Setting, teacher, tiny.Recipe with { Data = tiny.Recipe.Data with { Packing = packing } }, tiny.Data.Tokenizer);

        Assert.Equal(teacher, Find(DataPacking.Crops).Directory);
        string message = Assert.Throws<UserException>(() => Find(DataPacking.Documents)).Message;
        Assert.Contains("has the attention pattern 'sliding', which counts from a row's beginning, and data.packing 'documents'", message);
    }

    private Checkpoint Write(string name, LanguageModel model, RotaryOptions position) => Checkpoint.Write(
        tiny.RunPath(name),
        new()
        {
            Name = name, Model = tiny.Recipe.Model with { Position = position }, Tokenizer = tiny.Recipe.Tokenizer, Data = tiny.Recipe.Data,
        },
        tiny.Data.Tokenizer, model);
}
