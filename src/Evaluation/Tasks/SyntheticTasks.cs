using System.Globalization;
using Trainer.Data;
using Trainer.Data.Corpora;
using Trainer.Inference;

namespace Trainer.Evaluation.Tasks;

/// <summary>Tasks that need no data: those of the corpus <c>synthetic</c> as it makes them (its validation split), and arithmetic as the
/// harness asks it (Brown et al. 2020).</summary>
internal static class SyntheticTasks
{
    private const int Questions = 500;

    public static IReadOnlyList<TaskEntry> All { get; } =
    [
        Synthetic("synthetic_copy", "a random sequence written again", new CopyTaskOptions()),
        Synthetic("synthetic_selective_copy", "symbols picked out of noise", new SelectiveCopyTaskOptions()),
        Synthetic("synthetic_associative_recall", "the value of a key", new AssociativeRecallTaskOptions()),
        Synthetic("synthetic_latest_value", "the last value of a key", new LatestValueTaskOptions()),
        Synthetic("synthetic_needle", "a value hidden in noise", new NeedleTaskOptions()),
        new()
        {
            Name = "arithmetic", About = "sums and differences of numbers of 1 to 3 digits, in words",
            Members = [.. Enumerable.Range(1, 3).SelectMany(digits => new[]
            {
                Arithmetic(digits, "plus", "a", (a, b) => a + b), Arithmetic(digits, "minus", "s", (a, b) => a - b),
            })],
        },
    ];

    private static TaskEntry Synthetic(string name, string about, SyntheticTaskOptions task) => new()
    {
        Name = name, About = about,
        Definition = TaskDefinition.Parse($$$"""
            { "task": "{{{name}}}", "output_type": "loglikelihood", "doc_to_text": "{{prompt}}", "doc_to_target": "{{answer}}",
              "target_delimiter": "", "fewshot_delimiter": "\n", "metric_list": [{ "metric": "acc" }, { "metric": "perplexity" }] }
            """, name),
        Make = making =>
        {
            int shots = making.Options.Shots ?? 0, questions = making.Options.Limit ?? Questions;
            Corpus corpus = Corpus.Open(new()
            {
                Format = SourceFormat.Synthetic, Task = task, Examples = questions + shots, Seed = making.Options.Seed,
                Split = SourceSplit.Validation,
            }, "", making.Options.DatasetsDirectory, inPairs: true);
            var records = MadeTask.Records(name, WholeDocuments.Of(corpus.Read(), 1 << 20).Chunk(2)
                .Select(pair => new { prompt = pair[0], answer = pair[1] }));
            return new([.. records.Take(questions)], [.. records.Skip(questions)]);
        },
    };

    private static TaskEntry Arithmetic(int digits, string word, string sign, Func<int, int, int> answer)
    {
        string name = $"arithmetic_{digits}d{sign}";
        return new()
        {
            Name = name, About = $"{digits} digits, {word}",
            Definition = TaskDefinition.Parse($$$"""
                { "task": "{{{name}}}", "output_type": "loglikelihood", "doc_to_text": "Question: What is {{a}} {{{word}}} {{b}}?\nAnswer:",
                  "doc_to_target": "{{' ' ~ answer}}", "target_delimiter": "", "metric_list": [{ "metric": "acc" }] }
                """, name),
            Make = making =>
            {
                SplitMix64 random = new(making.Options.Seed);
                int shots = making.Options.Shots ?? 0, questions = making.Options.Limit ?? Questions;
                int below = int.Parse("1" + new string('0', digits), CultureInfo.InvariantCulture);
                int Drawn() => (int)(random.NextDouble() * below);
                var records = MadeTask.Records(name, Enumerable.Range(0, questions + shots).Select(_ => (A: Drawn(), B: Drawn()))
                    .Select(pair => new { a = pair.A, b = pair.B, answer = answer(pair.A, pair.B) }));
                return new([.. records.Take(questions)], [.. records.Skip(questions)]);
            },
        };
    }
}
