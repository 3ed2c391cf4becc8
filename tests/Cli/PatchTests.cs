using System.Text.Json;
using Trainer.Tests;

namespace Trainer.Cli.Tests;

/// <summary>Models of pictures and time series through the real command line: trained, killed and resumed, measured, looked at.</summary>
public sealed class PatchTests
{
    private const string Pictures = """
        {
          "name": "pictures",
          "model": {
            "architecture": "encoder", "dim": 16, "layers": 1, "contextLength": 5, "dropout": 0.1,
            "input": { "type": "image-patches", "height": 8, "width": 8, "channels": 1, "patch": 4 },
            "attention": { "type": "multi-head", "heads": 2 }, "position": { "type": "learned" }
          },
          "data": {
            "train": [ { "format": "synthetic", "task": { "type": "shapes" }, "examples": 60 } ],
            "validation": [ { "format": "synthetic", "task": { "type": "shapes" }, "examples": 24, "split": "validation" } ]
          },
          "training": { "steps": 40, "batchSize": 4, "microBatchSize": 2, "device": "cpu", "labelSmoothing": 0.1 },
          "evaluation": { "every": 10, "batches": 2, "measures": [ { "type": "accuracy" } ] },
          "checkpoint": { "every": 10, "keep": 2 },
          "monitoring": { "logEvery": 1 }
        }
        """;

    private const string Series = """
        {
          "name": "series",
          "model": {
            "architecture": "encoder", "dim": 16, "layers": 1, "contextLength": 6, "dropout": 0.1,
            "input": { "type": "series-patches", "length": 24, "patch": 8, "stride": 4, "horizon": 6 },
            "attention": { "type": "multi-head", "heads": 2 }, "position": { "type": "sinusoidal" }
          },
          "data": { "train": [ { "format": "synthetic", "task": { "type": "waves", "variables": 2, "steps": 200, "periods": [ 12 ] } } ] },
          "training": { "steps": 40, "batchSize": 16, "device": "cpu" },
          "evaluation": { "every": 10, "batches": 2, "measures": [ { "type": "forecast", "season": 12 } ] },
          "checkpoint": { "every": 10, "keep": 2 },
          "monitoring": { "logEvery": 1 }
        }
        """;

    private static readonly string[] PictureDecoder =
        ["model.architecture=decoder", "model.contextLength=4", "model.input.pooling=last"];

    private static readonly string[] SeriesDecoder =
        ["model.architecture=decoder", "model.contextLength=5", "model.position.type=rotary", "model.attention.pattern.type=causal"];

    // An epoch is 15 steps of pictures, and 16 of windows.
    [Theory]
    [InlineData("pictures", Pictures, 2, false)]
    [InlineData("pictures, decoder", Pictures, 1, true)]
    [InlineData("series", Series, 1, false)]
    [InlineData("series, decoder", Series, 2, true)]
    public void Killed_and_resumed_equals_uninterrupted_bit_for_bit(string name, string recipe, int threads, bool decoder)
    {
        using var workspace = new Workspace { Threads = threads };
        File.WriteAllText(workspace.PathOf("r.json"), recipe);
        string[] settings = decoder ? ["--set", .. recipe == Pictures ? PictureDecoder : SeriesDecoder] : [];
        workspace.Succeeds(["train", "r.json", "--run", "whole", .. settings]);
        using (var process = workspace.Start(["train", "r.json", "--run", "killed", .. settings]))
        {
            Assert.True(SpinWait.SpinUntil(
                () => process.HasExited || Directory.Exists(workspace.PathOf("killed/checkpoints/step-00000020")),
                TimeSpan.FromSeconds(120)), $"the run of {name} did not get that far");
            process.Kill();
            process.WaitForExit();
        }
        workspace.Succeeds(["train", "r.json", "--run", "killed", "--resume", .. settings]);
        Assert.Equal(40, workspace.Losses("whole").Count);
        Assert.Equal(workspace.Losses("whole"), workspace.Losses("killed"));
        foreach (var file in new[] { "model.safetensors", "optimizer.safetensors", "state.json", "preprocessor.json" })
            Assert.Equal(
                File.ReadAllBytes(workspace.PathOf($"whole/checkpoints/step-00000040/{file}")),
                File.ReadAllBytes(workspace.PathOf($"killed/checkpoints/step-00000040/{file}")));
    }

    [Fact]
    public void Logs_name_what_is_counted_and_classes_and_forecasts_have_no_perplexity()
    {
        using var workspace = new Workspace();
        foreach (var (recipe, unit) in new[] { (Pictures, "pictures"), (Series, "values") })
        {
            File.WriteAllText(workspace.PathOf("r.json"), recipe);
            var trained = workspace.Succeeds("train", "r.json", "--run", unit, "--set", "training.steps=10");
            Assert.Contains($" {unit}/s ", trained.Error, StringComparison.Ordinal);
            Assert.DoesNotContain("tok", trained.Error, StringComparison.Ordinal);
            Assert.DoesNotContain("perplexity", trained.Error, StringComparison.Ordinal);
            Assert.Contains($" {unit}, best", trained.Output, StringComparison.Ordinal);
            var records = File.ReadAllLines(workspace.PathOf($"{unit}/metrics.jsonl"));
            Assert.Contains(records, line => line.Contains("\"tokensPerSecond\"", StringComparison.Ordinal));
            Assert.Contains(records, line => line.Contains("\"validationLoss\"", StringComparison.Ordinal));
            Assert.DoesNotContain(records, line => line.Contains("perplexity", StringComparison.Ordinal));
            Assert.Contains($" {unit}, epoch", workspace.Succeeds("inspect", unit).Output, StringComparison.Ordinal);
        }
        workspace.Succeeds("report", "pictures", "--output", "report.html");
        Assert.Contains("\"many\":\"pictures\"", File.ReadAllText(workspace.PathOf("report.html")), StringComparison.Ordinal);
    }

    [Fact]
    public void Decoders_are_planned_measured_looked_at_and_refused_what_they_cannot_do()
    {
        using var workspace = WithPictures();
        workspace.Succeeds(["train", "r.json", "--run", "pictures-run", "--set", .. PictureDecoder]);
        workspace.Succeeds("evaluate", "pictures-run", "--json", "measured.json");
        Assert.Equal(1, Json(workspace, "measured.json").GetProperty("accuracy").GetDouble());
        workspace.Succeeds("attention", "pictures-run", "--data", "pictures/light/0.png", "--json", "map.json");
        Assert.False(Json(workspace, "map.json").GetProperty("picture").GetProperty("classToken").GetBoolean());
        Assert.Equal("decoder", Json(workspace, "map.json").GetProperty("stacks")[0].GetProperty("name").GetString());

        File.WriteAllText(workspace.PathOf("s.json"), OfTable);
        WriteTable(workspace, 200);
        workspace.Succeeds(["train", "s.json", "--run", "series-run", "--set", .. SeriesDecoder]);
        workspace.Succeeds("evaluate", "series-run", "--data", "table.csv", "--season", "12", "--json", "next.json");
        Assert.Equal(6, Json(workspace, "next.json").GetProperty("forecast")[0].GetProperty("values").GetArrayLength());
        workspace.Succeeds("attention", "series-run", "--data", "table.csv", "--output", "series.html");
        Assert.Contains("5\n", workspace.Succeeds(["plan", "s.json", "--set", .. SeriesDecoder]).Output.Replace(" ", ""),
            StringComparison.Ordinal);
        Fails(workspace.Run("generate", "series-run", "--prompt", "x"), 2, "forecasts time series and reads no text");
        Fails(workspace.Run("convert", "series-run", "--output", "less", "--key-value-heads", "1"), 2, "caches no keys and values");
        Fails(workspace.Run("train", "s.json", "--set", "model.architecture=decoder"), 2, "5 patches; set it to 5");
        Fails(workspace.Run("train", "r.json", "--set", "model.architecture=decoder"), 2, "set it to 'last'");
    }

    [Fact]
    public void Weights_of_variables_are_for_as_many_as_there_are()
    {
        using var workspace = new Workspace();
        File.WriteAllText(workspace.PathOf("r.json"), OfTable);
        WriteTable(workspace, 200);
        foreach (var command in new[] { "train", "plan" })
            Fails(workspace.Run(command, "r.json", "--set", "model.input.affineVariables=3"), 2,
                "model.input.affineVariables: affineVariables (3) must be the number of variables of the data, 2 (a, b); set it to 2");
        workspace.Succeeds("train", "r.json", "--run", "run", "--set", "model.input.affineVariables=2", "training.steps=10");
        workspace.Succeeds("evaluate", "run", "--data", "table.csv");
        workspace.Succeeds("attention", "run", "--data", "table.csv");
    }

    [Fact]
    public void A_folder_of_pictures_is_learned_told_and_looked_at()
    {
        using var workspace = WithPictures();
        workspace.Succeeds("train", "r.json", "--run", "run");
        var measured = workspace.Succeeds("evaluate", "run", "--json", "measured.json");
        Assert.Contains("accuracy", measured.Output, StringComparison.Ordinal);
        var json = Json(workspace, "measured.json");
        Assert.Equal(
            ["dark", "light"], json.GetProperty("classes").EnumerateArray().Select(entry => entry.GetProperty("name").GetString()));
        Assert.Equal(1, json.GetProperty("accuracy").GetDouble());

        workspace.Succeeds("evaluate", "run", "--data", "pictures", "--json", "told.json");
        var predictions = Json(workspace, "told.json").GetProperty("predictions").EnumerateArray().ToArray();
        Assert.Equal(16, predictions.Length);
        Assert.All(predictions, prediction => Assert.Equal(
            Path.GetFileName(Path.GetDirectoryName(prediction.GetProperty("file").GetString())),
            prediction.GetProperty("predicted").GetString()));
        Assert.StartsWith("run", workspace.Succeeds("evaluate", "run", "--data", "pictures/light/0.png").Output, StringComparison.Ordinal);

        workspace.Succeeds("attention", "run", "--data", "pictures/light/0.png", "--json", "map.json");
        var picture = Json(workspace, "map.json").GetProperty("picture");
        Assert.Equal((8, 2, true), (picture.GetProperty("height").GetInt32(), picture.GetProperty("rows").GetInt32(),
            picture.GetProperty("classToken").GetBoolean()));
        Assert.Contains("pictureView(data)", File.ReadAllText(workspace.PathOf("attention.html")), StringComparison.Ordinal);
        Assert.Contains("dark, light", workspace.Succeeds("inspect", "run").Output, StringComparison.Ordinal);
    }

    [Fact]
    public void The_mean_of_two_checkpoints_keeps_the_preprocessor_and_is_measured()
    {
        using var workspace = new Workspace();
        File.WriteAllText(workspace.PathOf("r.json"), Pictures);
        workspace.Succeeds("train", "r.json", "--run", "run", "--set", "training.steps=2", "checkpoint.every=1");
        Assert.Contains("the mean of step-00000001, step-00000002",
            workspace.Succeeds("convert", "run/checkpoints/step-00000002", "--output", "mean", "--average", "2").Output,
            StringComparison.Ordinal);
        Assert.Equal(["config.json", "manifest.json", "model.safetensors", "preprocessor.json"],
            Directory.EnumerateFiles(workspace.PathOf("mean")).Select(Path.GetFileName).Order());
        Assert.Contains("accuracy", workspace.Succeeds("evaluate", "mean").Output, StringComparison.Ordinal);
    }

    [Fact]
    public void A_table_is_measured_and_continued()
    {
        using var workspace = new Workspace();
        File.WriteAllText(workspace.PathOf("r.json"), OfTable);
        WriteTable(workspace, 200);
        workspace.Succeeds("train", "r.json", "--run", "run");
        workspace.Succeeds("evaluate", "run", "--season", "12", "--json", "own.json");
        var own = Json(workspace, "own.json");
        Assert.True(own.GetProperty("lastValue").GetProperty("meanSquaredError").GetDouble() > 0);
        Assert.Equal(12, own.GetProperty("season").GetInt32());

        WriteTable(workspace, 26, "short.csv");
        workspace.Succeeds("evaluate", "run", "--data", "short.csv", "--json", "short.json");
        var forecast = Json(workspace, "short.json").GetProperty("forecast").EnumerateArray().ToArray();
        Assert.Equal(["a", "b"], forecast.Select(variable => variable.GetProperty("variable").GetString()));
        // b goes up and down by 1 around 500: the forecast is in its unit.
        Assert.All(forecast[1].GetProperty("values").EnumerateArray(), value => Assert.InRange(value.GetDouble(), 490, 510));
        workspace.Succeeds("attention", "run", "--data", "table.csv", "--output", "series.html");
        Assert.Contains("variables", workspace.Succeeds("plan", "r.json").Output, StringComparison.Ordinal);
    }

    [Fact]
    public void Damaged_files_are_named_with_their_place()
    {
        using var workspace = WithPictures();
        var path = workspace.PathOf("pictures/light/1.png");
        File.WriteAllBytes(path, File.ReadAllBytes(path)[..40]);
        Fails(workspace.Run("train", "r.json"), 1, "pictures/light/1.png: the PNG file is damaged");
        File.Delete(path);
        Directory.CreateDirectory(workspace.PathOf("pictures/empty"));
        Fails(workspace.Run("train", "r.json"), 1, "pictures/empty of a class is empty");

        File.WriteAllText(workspace.PathOf("r.json"), OfTable);
        File.WriteAllText(workspace.PathOf("table.csv"), "date,a,b\n1,2,3\n2,4\n");
        Fails(workspace.Run("train", "r.json"), 1, "table.csv, line 3: it has 2 cells, and the header 3");
        File.WriteAllText(workspace.PathOf("table.csv"), "date,a,b\n1,2,3\n2,4,?\n");
        Fails(workspace.Run("train", "r.json"), 1, "table.csv, line 3, column \"b\": \"?\" is not a number");
    }

    [Theory]
    [InlineData("tokenizer.type=byte", "tokenizer: is for texts, and model.input reads pictures")]
    [InlineData("model.input.patch=3", "patch (3) must divide height (8)")]
    [InlineData("model.contextLength=4", "4 patches and a class token; set it to 5")]
    [InlineData("data.train.0.task.type=copy", "holds no pictures, and model.input reads such")]
    [InlineData("monitoring.samples.0=the", "are texts to continue")]
    [InlineData("evaluation.measures.0.type=forecast", "use 'accuracy'")]
    public void A_recipe_that_cannot_be_is_refused_with_the_reason(string setting, string part)
    {
        using var workspace = new Workspace();
        File.WriteAllText(workspace.PathOf("r.json"), Pictures);
        Fails(workspace.Run("train", "r.json", "--set", setting), 2, part);
    }

    [Fact]
    public void Commands_for_texts_say_that_the_model_reads_none()
    {
        using var workspace = new Workspace();
        File.WriteAllText(workspace.PathOf("r.json"), Pictures);
        workspace.Succeeds("train", "r.json", "--run", "run", "--set", "training.steps=1");
        foreach (var command in (string[][])[["generate", "run", "--prompt", "x"], ["score", "run", "--text", "x"],
            ["embed", "run", "--text", "x"], ["export", "run", "--format", "gguf", "--output", "x.gguf"],
            ["attention", "run", "--text", "x"]])
            Fails(workspace.Run(command), 2, "tells classes of pictures and reads no text");
        Fails(workspace.Run("tokenizer", "train", "r.json"), 2, "which have no tokenizer");
        Fails(workspace.Run("evaluate", "run", "--window", "8"), 2, "--window: is for texts");
    }

    private static string OfTable => Series.Replace(
        "{ \"format\": \"synthetic\", \"task\": { \"type\": \"waves\", \"variables\": 2, \"steps\": 200, \"periods\": [ 12 ] } }",
        "{ \"format\": \"series\", \"path\": \"table.csv\" }", StringComparison.Ordinal);

    private static Workspace WithPictures()
    {
        var workspace = new Workspace();
        foreach (var (name, shade) in new[] { ("dark", 20), ("light", 200) })
        {
            Directory.CreateDirectory(workspace.PathOf($"pictures/{name}"));
            for (var number = 0; number < 8; number++)
                File.WriteAllBytes(workspace.PathOf($"pictures/{name}/{number}.png"), Png.Encode(
                    8, 8, Png.Grey, 8, [.. Enumerable.Range(0, 64).Select(place => (byte)(shade + number + place % 7))]));
        }
        var recipe = Pictures[..Pictures.IndexOf("\"data\"", StringComparison.Ordinal)]
            + "\"data\": { \"train\": [ { \"format\": \"images\", \"path\": \"pictures\" } ], \"validationFraction\": 0.25 },\n"
            + Pictures[Pictures.IndexOf("\"training\"", StringComparison.Ordinal)..];
        File.WriteAllText(workspace.PathOf("r.json"), recipe);
        return workspace;
    }

    private static void WriteTable(Workspace workspace, int rows, string name = "table.csv") => File.WriteAllText(
        workspace.PathOf(name), "date,a,b\n" + string.Concat(Enumerable.Range(0, rows).Select(step => FormattableString.Invariant(
            $"{step},{Math.Sin(step * Math.PI / 6):F3},{500 + Math.Cos(step * Math.PI / 6):F3}\n"))));

    private static JsonElement Json(Workspace workspace, string file) =>
        JsonDocument.Parse(File.ReadAllText(workspace.PathOf(file))).RootElement;

    private static void Fails(Outcome outcome, int exitCode, string part)
    {
        Assert.True(exitCode == outcome.ExitCode, $"exit code {outcome.ExitCode}: {outcome.Error}");
        Assert.Contains(part, outcome.Error, StringComparison.Ordinal);
        Assert.DoesNotContain("   at ", outcome.Error, StringComparison.Ordinal);
    }
}
