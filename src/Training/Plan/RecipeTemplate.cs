using System.Text.Json.Nodes;
using Trainer.Configuration;
using Trainer.Models;
using Trainer.Models.Devices;

namespace Trainer.Training.Plan;

/// <summary>A recipe of which everything follows from its depth, the tokens that it is trained on, and how often those repeat: one dial, as
/// nanochat has (Karpathy 2025).</summary>
internal sealed record RecipeTemplate
{
    /// <summary>Training tokens for each parameter; about 20 is compute-optimal (Hoffmann et al. 2022, arXiv 2203.15556).</summary>
    public const double TokensPerParameter = 20;

    public const int MostDepth = 32;

    // A block is 64 times as wide as the model is deep, in heads of 64.
    private const int HeadWidth = 64;

    // Learning rates of Muon and AdamW that suited 4,096 tokens a step; they follow the root of the batch.
    private const double MatrixRate = 1.5e-2, OtherRate = 2e-3;

    private const int LeastStepTokens = 2048, MostStepTokens = 1 << 19, FewestSteps = 4000;

    public required int Depth { get; init; }

    public required string Name { get; init; }

    public required JsonObject Source { get; init; }

    /// <summary>Of byte-pair encoding; null for bytes.</summary>
    public int? Vocabulary { get; init; }

    public long Seed { get; init; } = 1337;

    public Precision Precision { get; init; } = Precision.Float32;

    /// <summary>Tokens of the whole run.</summary>
    public required double Tokens { get; init; }

    /// <summary>How often the text is read.</summary>
    public double Epochs { get; init; } = 1;

    /// <summary>Parameters of the model for each token of the text.</summary>
    public double ParametersPerToken { get; init; }

    /// <summary>Sequences computed at once; null for the whole batch.</summary>
    public int? MicroBatch { get; init; }

    public int Context => Depth <= 6 ? 256 : Depth <= 12 ? 512 : 1024;

    /// <summary>Sequences of a step that were measured; null for those that follow from the tokens.</summary>
    public int? MeasuredBatch { get; init; }

    /// <summary>Sequences of a step: a power of two that makes a run of 4,000 to 8,000 steps.</summary>
    public int Batch
    {
        get
        {
            if (MeasuredBatch is { } measured) return measured;
            double tokens = Math.Clamp(Tokens / FewestSteps, LeastStepTokens, MostStepTokens);
            return Math.Max(1, (int)Math.Pow(2, Math.Floor(Math.Log2(tokens / Context))));
        }
    }

    public int StepTokens => Batch * Context;

    public long StepCount => Math.Max(1, (long)(Tokens / StepTokens));

    /// <summary>Tokens of an evaluation.</summary>
    public long EvaluationTokens => (long)EvaluationBatches * StepTokens;

    private int EvaluationBatches => Math.Max(1, 128 / Batch);

    /// <summary>A text that is read again and again is learned by heart by a model with room for it; a smaller one only learns less by
    /// dropout (0.2 made it 1.736 instead of 1.567 for tinyshakespeare, 11 times by 0.4 parameters for each of its bytes).</summary>
    public double Dropout => Epochs <= 4 ? 0 : ParametersPerToken > 4 ? 0.2 : ParametersPerToken > 1 ? 0.1 : 0;

    /// <summary>The whole run, or the same settings on fewer steps.</summary>
    public JsonObject Json(long? steps = null)
    {
        double scale = Math.Sqrt(StepTokens / 4096.0);
        long count = steps ?? StepCount;
        JsonObject training = new()
        {
            ["steps"] = count, ["batchSize"] = Batch, ["precision"] = Precision == Precision.BFloat16 ? "bfloat16" : "float32",
        };
        if (MicroBatch is { } micro && micro < Batch) training["microBatchSize"] = micro;
        return new()
        {
            ["name"] = Name,
            ["seed"] = Seed,
            ["model"] = new JsonObject
            {
                ["architecture"] = "decoder", ["dim"] = HeadWidth * Depth, ["layers"] = Depth, ["contextLength"] = Context,
                ["dropout"] = Dropout,
                ["attention"] = new JsonObject { ["type"] = "multi-head", ["heads"] = Depth },
                ["position"] = new JsonObject { ["type"] = "rotary" },
                ["feedForward"] = new JsonObject { ["type"] = "swiglu" },
                ["norm"] = new JsonObject { ["type"] = "rms" },
            },
            ["tokenizer"] = Vocabulary is { } vocabulary
                ? new JsonObject { ["type"] = "bpe", ["vocabularySize"] = vocabulary }
                : new JsonObject { ["type"] = "byte" },
            ["data"] = new JsonObject { ["train"] = new JsonArray(Source.DeepClone()), ["validationFraction"] = 0.05 },
            ["training"] = training,
            ["optimizer"] = new JsonObject
            {
                ["type"] = "muon", ["learningRate"] = Rounded(MatrixRate * scale),
                ["adamw"] = new JsonObject { ["learningRate"] = Rounded(OtherRate * scale) },
            },
            ["schedule"] = new JsonObject
            {
                ["type"] = "cosine", ["warmupSteps"] = Math.Max(1, count / 20), ["minimumLearningRate"] = Rounded(MatrixRate * scale / 20),
            },
            ["evaluation"] = new JsonObject { ["every"] = Math.Max(1, count / 10), ["batches"] = EvaluationBatches },
            ["checkpoint"] = new JsonObject { ["every"] = Math.Max(1, count / 10), ["keep"] = 2 },
            ["monitoring"] = new JsonObject { ["logEvery"] = 10 },
        };
    }

    public Recipe Build(long? steps = null) =>
        ConfigurationJson.Deserialize<Recipe>(ConfigurationJson.Format(Json(steps)), $"a recipe of depth {Depth}");

    public ModelCost Cost(int vocabularySize) => ModelCost.Of(Build(steps: 1).Model, vocabularySize);

    private static double Rounded(double rate) => double.Parse($"{rate:G2}", System.Globalization.CultureInfo.InvariantCulture);
}
