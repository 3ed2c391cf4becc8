using Trainer.Configuration;
using Trainer.Training.Adapting;

namespace Trainer.Training.Tests.Adapting;

public sealed class AdaptationTests : IDisposable
{
    private readonly TinyRun tiny = new();

    public void Dispose() => tiny.Dispose();

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
        using StopSignal never = new();

        string message = Assert.Throws<UserException>(
            () => Adaptation.Run(new AdaptRequest(tiny.RunPath(), 1e6), ["none"], new Progress<string>(), never)).Message;

        Assert.EndsWith(": it reads pictures or time series, and adapt is for models of texts", message);
    }
}
