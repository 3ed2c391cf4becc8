using Trainer.Configuration;
using Trainer.Data.Batches;
using Trainer.Training.Adapting;

namespace Trainer.Training.Tests.Adapting;

public sealed class AdaptationTests : IDisposable
{
    private readonly TinyRun tiny = new();

    public void Dispose() => tiny.Dispose();

    [Theory]
    [InlineData(16, 24)] // the recipe's own context
    [InlineData(24, 16)]
    [InlineData(40, 9)]
    [InlineData(1000, 1)]
    public void Micro_batches_do_not_choose_the_rows_that_are_measured(int context, int expected)
    {
        using TinyRun longer = new(characters: 20_000);
        foreach (int? micro in (int?[])[null, 6, 4, 1])
        {
            Recipe recipe = longer.Recipe with
            {
                Training = longer.Recipe.Training with { BatchSize = 12, MicroBatchSize = micro },
            };
            ValidationSet rows = Adaptation.Rows(recipe, longer.Data, context, prefixLength: 1);
            Assert.Equal(expected, rows.Sum(batch => batch.Rows));
            Assert.Equal((long)expected * context, rows.TargetTokens);
        }
    }

    [Fact]
    public void A_model_of_time_series_is_refused()
    {
        tiny.Recipe = ConfigurationJson.Deserialize<Recipe>("""
            {
              "name": "series",
              "model": {
                "architecture": "decoder", "dim": 16, "layers": 1, "contextLength": 5,
                "input": { "type": "series-patches", "length": 24, "patch": 8, "stride": 4, "horizon": 6 },
                "attention": { "type": "multi-head", "heads": 2 }, "position": { "type": "rotary" }
              },
              "data": {
                "train": [ { "format": "synthetic", "task": { "type": "waves", "variables": 2, "steps": 200, "periods": [ 12 ] } } ]
              },
              "training": { "steps": 1, "batchSize": 4, "device": "cpu" },
              "evaluation": { "batches": 1 },
              "monitoring": { "tensorBoard": false }
            }
            """, "test");
        tiny.Train();

        Assert.EndsWith(": it reads pictures or time series, and adapt is for models of texts", Refusal<UserException>());
    }

    [Theory]
    [InlineData("training.steps=500")]
    [InlineData("""training={"steps":500}""")]
    public void Settings_do_not_say_how_many_steps_variants_are_trained_for(string setting)
    {
        tiny.Train();

        Assert.EndsWith(
            "training.steps: is 500, but the run has 12, of which variants are trained a twentieth: give --steps instead",
            Refusal<ConfigurationException>("optimizer.learningRate=2e-3", setting));
        Assert.False(Directory.Exists($"{tiny.RunPath()}-adapt"));
    }

    private string Refusal<T>(params string[] settings) where T : Exception
    {
        using StopSignal never = new();
        AdaptRequest request = new(tiny.RunPath(), 1e6) { Settings = settings };
        return Assert.Throws<T>(() => Adaptation.Run(request, ["none"], new Progress<string>(), never)).Message;
    }
}
