using Tensorboard;
using Trainer.Reporting.Monitoring;
using Trainer.Tests;

namespace Trainer.Training.Tests;

public sealed class HParamsTests : IDisposable
{
    private readonly TemporaryDirectory directory = new();

    public void Dispose() => directory.Dispose();

    /// <summary>The bytes are what TensorBoard's own plugin_data_pb2, compiled by protoc for Python, makes of the same contents.</summary>
    [Fact]
    public void Messages_are_those_of_the_plugin()
    {
        var time = ManualTime.Start();
        time.Advance(0.25);
        using var writer = new TensorBoardWriter(directory.Path, 0, time);
        writer.SessionStart("""{ "a": { "flag": false, "list": [0.9, 0.95], "rate": 1e-3 }, "b": [{ "path": "größe.txt" }], "none": null }""", 3);
        time.Advance(54.25);
        writer.SessionEnd(60);

        Assert.Equal([1767323045.25, 1767323045.25, 1767323045.25, 1767323099.5], EventFileReader.ReadFile(writer.Location)
            .Select(entry => entry.WallTime));
        var points = EventFileReader.ReadDirectory(directory.Path);
        Assert.Equal([("_hparams_/session_start_info", 3L), ("_hparams_/session_end_info", 60L)],
            points.Select(point => (point.Tag, point.Step)));
        Assert.Equal(
            [
                "1a600a0c0a06612e666c6167120220000a170a06612e6c697374120d1a0b5b302e392c20302e39355d0a130a06612e72617465120911"
                + "fca9f1d24d62503f0a190a08622e302e70617468120d1a0b6772c3b6c39f652e7478742900005069cd55da41",
                "220b0801110000e076cd55da41",
            ],
            points.Select(point => Convert.ToHexStringLower(point.Value.Metadata.PluginData.Content.Span)));
        foreach (var (_, _, value) in points)
        {
            Assert.Equal(("hparams", DataClass.Tensor), (value.Metadata.PluginData.PluginName, value.Metadata.DataClass));
            Assert.Equal((DataType.DtFloat, 0L), (value.Tensor.Dtype, Assert.Single(value.Tensor.TensorShape.Dim).Size));
        }
    }

    [Theory]
    [InlineData("""{ "seed": 1337 }""", "seed=1337")]
    [InlineData("""{ "optimizer": { "betas": [0.9, 0.95], "type": "adamw" } }""", "optimizer.betas=[0.9, 0.95]", "optimizer.type=adamw")]
    [InlineData("""{ "data": { "train": [{ "path": "a", "weight": 2 }, { "path": "b" }] } }""", "data.train.0.path=a", "data.train.0.weight=2", "data.train.1.path=b")]
    [InlineData("""{ "training": { "deterministic": true, "flag": false, "empty": [], "none": null } }""", "training.deterministic=True", "training.flag=False", "training.empty=[]")]
    [InlineData("""{ "name": "x", "monitoring": { "logEvery": 1 }, "checkpoint": { "keep": 2 }, "evaluation": { "every": 5, "measures": [{ "type": "y" }] } }""", "evaluation.every=5")]
    public void Settings_are_named_as_on_the_command_line(string json, params string[] expected)
    {
        using (var writer = new TensorBoardWriter(directory.Path))
            writer.SessionStart(json, 0);

        Assert.Equal(expected, SessionMessages.Settings(SessionMessages.Contents(directory.Path, start: true).Single())
            .Select(setting => $"{setting.Name}={setting.Value}"));
    }

    [Fact]
    public void Run_shows_its_recipe_and_its_best_and_last_loss()
    {
        using var tiny = WithTensorBoard();

        var result = tiny.Train();

        var settings = SessionMessages.Settings(SessionMessages.Contents(tiny.RunPath(), start: true).Single()).ToDictionary();
        Assert.Equal(
            new object[] { 3e-3, 12.0, "adamw", 2.0, "byte", tiny.TextPath },
            [settings["optimizer.learningRate"], settings["training.steps"], settings["optimizer.type"], settings["model.attention.heads"],
                settings["tokenizer.type"], settings["data.train.0.path"]]);
        Assert.DoesNotContain(settings.Keys, name => name.StartsWith("monitoring") || name.StartsWith("checkpoint") || name == "name");
        Assert.Equal((float)result.BestLoss!.Value, EventFileReader.ReadDirectory(tiny.RunPath())
            .Last(point => point.Tag == "loss/bestValidation").Value.SimpleValue);
        Assert.Single(SessionMessages.Contents(tiny.RunPath(), start: false));
    }

    /// <summary>TensorBoard keeps the first end that it reads: an end before that of the last step would stay for good.</summary>
    [Fact]
    public void Run_has_an_end_only_once_all_steps_are_done()
    {
        using var tiny = WithTensorBoard();
        using StopSignal stop = new();
        tiny.Train(sink: new RecordingSink { OnStep = metrics => { if (metrics.Step == 7) stop.Request(); } }, stop: stop);
        Assert.Empty(SessionMessages.Contents(tiny.RunPath(), start: false));

        tiny.Train(resume: true);

        Assert.Single(SessionMessages.Contents(tiny.RunPath(), start: false));
        Assert.Equal(12, EventFileReader.ReadDirectory(tiny.RunPath()).Single(point => point.Tag == "_hparams_/session_end_info").Step);
    }

    private static TinyRun WithTensorBoard()
    {
        var tiny = new TinyRun();
        tiny.Recipe = tiny.Recipe with { Monitoring = tiny.Recipe.Monitoring with { TensorBoard = true } };
        return tiny;
    }
}
