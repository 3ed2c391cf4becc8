using System.Text.Json;
using Trainer.Checkpoints;
using Trainer.Data;
using Trainer.Data.Tokenizers;
using Trainer.Distributed;
using Trainer.Models;
using Trainer.Models.Attention;
using Trainer.Models.Attention.Patterns;
using Trainer.Training.Distribution;
using Trainer.Training.Losses;
using static TorchSharp.torch;

namespace Trainer.Training.Tests;

/// <summary>Kinds of rows.</summary>
public enum RowKind
{
    Crops,
    Mixed,
    Documents,
    Conversations,
    Pairs,
    SequenceToSequence,
    StartToken,
    Prefix,
}

/// <summary>A run that learns from what is kept of a teacher of a few steps, on rows of any kind.</summary>
internal sealed class TaughtRun : IDisposable
{
    private const int SmallFile = 4096;

    private readonly TinyRun tiny = new(dropout: 0);

    /// <summary>The run, whose recipe <see cref="Distil"/> writes.</summary>
    public TinyRun Tiny => tiny;

    public void Dispose() => tiny.Dispose();

    public DistillationOptions Options => tiny.Recipe.Distillation!;

    /// <summary>A student of another size than its teacher, which is trained first.</summary>
    public void Distil(RowKind data, int topK)
    {
        tiny.Recipe = tiny.Recipe with
        {
            Seed = 7, Distillation = null, Data = Rows(data),
            Tokenizer = data switch
            {
                RowKind.SequenceToSequence => new BpeTokenizerOptions { VocabularySize = 270, SpecialTokens = ["<s>", "</s>"] },
                // Texts are read and written behind [CLS].
                RowKind.StartToken => new BpeTokenizerOptions { VocabularySize = 270, SpecialTokens = ["</s>", "[CLS]", "[SEP]"] },
                _ => new ByteTokenizerOptions(),
            },
            Model = data switch
            {
                RowKind.SequenceToSequence or RowKind.StartToken => new EncoderDecoderOptions
                {
                    Dim = 16, Layers = 2, ContextLength = 48, Attention = new MultiHeadOptions { Heads = 2 },
                },
                RowKind.Prefix => new DecoderOptions
                {
                    Dim = 16, Layers = 2, ContextLength = TinyRun.Context,
                    Attention = new MultiHeadOptions { Heads = 2, Pattern = new PrefixOptions { PrefixLength = 4 } },
                },
                _ => (DecoderOptions)tiny.Recipe.Model with
                {
                    Dim = 16, Layers = 2, ContextLength = data is RowKind.Crops or RowKind.Mixed or RowKind.Documents ? TinyRun.Context : 48,
                },
            },
            Training = tiny.Recipe.Training with { Steps = 6 },
            Checkpoint = new CheckpointOptions { Every = 3, Keep = 10 },
        };
        if (!Directory.Exists(tiny.RunPath("teacher"))) tiny.Train("teacher");
        tiny.Recipe = tiny.Recipe with
        {
            Name = "student",
            Model = tiny.Recipe.Model with { Dim = 12, Layers = 1 },
            Distillation = new() { Teacher = tiny.RunPath("teacher"), Temperature = 2, Cache = new() { TopK = topK } },
        };
    }

    private DataOptions Rows(RowKind data)
    {
        string[] words = ["the cat ", "sat on ", "a mat and ", "ran.", "", "x"];
        string Text(int number) => string.Concat(Enumerable.Range(0, 1 + number % 5).Select(i => words[(number * 7 + i * 3) % 4]));
        string Write(string name, Func<int, object> record)
        {
            string path = Path.Combine(tiny.Root, name);
            File.WriteAllLines(path, Enumerable.Range(0, 60).Select(number => JsonSerializer.Serialize(record(number))));
            return path;
        }
        SourceOptions Pairs() => new()
        {
            Path = Write("pairs.jsonl", number => new { text = $"q{number}", other = number % 9 == 4 ? "" : Text(number) }),
            Column = "text", TargetColumn = "other",
        };
        return data switch
        {
            RowKind.Mixed => new()
            {
                Train =
                [
                    new() { Path = tiny.TextPath, Weight = 2 },
                    new() { Path = Write("more.jsonl", number => new { text = Text(number) }), Column = "text", Weight = 1 },
                ],
            },
            RowKind.Documents => new()
            {
                Train = [new() { Path = Write("texts.jsonl", number => new { text = Text(number) }), Column = "text" }],
                Packing = DataPacking.Documents,
            },
            RowKind.Conversations => new()
            {
                Train =
                [
                    new()
                    {
                        Path = Write("talks.jsonl", number => new { instruction = $"q{number}", output = Text(number) }),
                        Format = SourceFormat.Chat,
                    },
                    new() { Path = Write("beside.jsonl", number => new { text = Text(number) + Text(4) + Text(9) }), Column = "text" },
                ],
            },
            RowKind.Pairs => new() { Train = [Pairs()], Packing = DataPacking.Pairs },
            RowKind.SequenceToSequence => new() { Train = [Pairs()], Objective = DataObjective.SequenceToSequence },
            RowKind.StartToken => new()
            {
                Train = [Pairs()], Objective = DataObjective.SequenceToSequence, DecoderStartToken = "</s>",
            },
            _ => new() { Train = [new() { Path = tiny.TextPath }] },
        };
    }

    public string[] Folders() => Directory.GetDirectories(tiny.Data.Directory, "teacher-*");

    public string In(string run, string file) => Path.Combine(tiny.Store(run).DirectoryOf(6), file);

    public TeacherCache OpenCache() => TeacherCache.Open(
        tiny.Recipe.Resolve(), tiny.Data, CPU, Checkpoint.Open(Options.Teacher), new Ranks(new SingleProcess(), new Lines(tiny.Progress)),
        TestContext.Current.CancellationToken);

    /// <summary>Fills the cache with files of a few rows each.</summary>
    public void Fill(IProcessGroup group, CancellationToken stop = default)
    {
        Recipe recipe = tiny.Recipe.Resolve();
        Checkpoint teacher = Checkpoint.Open(Options.Teacher);
        TeacherCacheKey key = TeacherCache.KeyOf(recipe, tiny.Data, teacher);
        new TeacherCacheFill(
            recipe, tiny.Data, CPU, teacher, key, Path.Combine(tiny.Data.Directory, key.FolderName),
            new Ranks(group, new Lines(tiny.Progress)), stop, SmallFile).Complete();
    }

    private sealed class Lines(List<string> told) : IProgress<string>
    {
        public void Report(string value) => told.Add(value);
    }
}
