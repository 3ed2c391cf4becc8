using System.Text.Json;
using System.Text.RegularExpressions;
using Trainer.Configuration;

namespace Trainer.Reporting.Tests;

public sealed partial class RunReportTests : IDisposable
{
    private const string Hostile = "</script><script>alert(1)</script><img src=x onerror=alert(2)>\u2028{{script}} & \"quoted\" 'é'";

    private readonly RunFolder folder = new();
    private readonly List<string> warnings = [];

    public void Dispose() => folder.Dispose();

    [Fact]
    public void The_page_holds_the_figures_of_every_run()
    {
        var data = Data(Write(folder.Run("a"), folder.Run("b", learningRate: 5e-4)));

        Assert.Equal(["a", "b"], data.GetProperty("runs").EnumerateArray().Select(run => run.GetProperty("name").GetString()));
        var run = data.GetProperty("runs")[0];
        Assert.Equal(40, run.GetProperty("curves").GetProperty("step").GetArrayLength());
        Assert.Equal(3, run.GetProperty("curves").GetProperty("loss").GetProperty("mean")[1].GetDouble());
        Assert.Equal([640.0, 1280, 1920, 2560], run.GetProperty("validation").GetProperty("tokens").EnumerateArray()
            .Select(tokens => tokens.GetDouble()));
        var summary = run.GetProperty("summary");
        Assert.Equal((1.35, 40, 2560, 28),
            (summary.GetProperty("bestLoss").GetDouble(), summary.GetProperty("bestStep").GetInt32(), summary.GetProperty("tokens")
            .GetInt32(), summary.GetProperty("seconds").GetInt32()));
        var differing = Assert.Single(data.GetProperty("settings").EnumerateArray(), row => row.GetProperty("differs").GetBoolean());
        Assert.Equal("optimizer.learningRate", differing.GetProperty("path").GetString());
        Assert.Empty(warnings);
    }

    [Fact]
    public void Profiles_of_steps_are_on_the_page_and_other_files_beside_them_are_not()
    {
        var profile = Directory.CreateDirectory(Path.Combine(folder.Run("a"), "profile")).FullName;
        File.WriteAllText(Path.Combine(profile, "step-20-30.json"), """
            {"firstStep":20,"lastStep":30,"threads":2,"secondsPerStep":0.5,"unaccountedSeconds":0.01,
             "parts":[{"name":"forward attention","seconds":0.3,"share":0.6},{"name":"optimizer","seconds":0.19,"share":0.38}]}
            """);
        File.WriteAllText(Path.Combine(profile, "step-1-2.json"), """{"parts":"many"}""");
        File.WriteAllText(Path.Combine(profile, "trace.json"), "{}");

        var run = Data(Write(Path.Combine(folder.Root, "a"))).GetProperty("runs")[0];

        var shown = Assert.Single(run.GetProperty("stepTimes").EnumerateArray());
        Assert.Equal("step-20-30", shown.GetProperty("name").GetString());
        Assert.Equal(0.19, shown.GetProperty("content").GetProperty("parts")[1].GetProperty("seconds").GetDouble());
        Assert.Contains("step-1-2.json is no profile of steps and is left out", Assert.Single(warnings), StringComparison.Ordinal);
    }

    [Fact]
    public void The_page_needs_nothing_but_itself()
    {
        var html = Write(folder.Run("a"));
        Assert.StartsWith("<!DOCTYPE html>", html, StringComparison.Ordinal);
        Assert.Contains("default-src 'none'", html, StringComparison.Ordinal);
        // The one address names a namespace of SVG, which is asked for nowhere.
        Assert.Equal(["http://www.w3.org/2000/svg"], Address().Matches(html).Select(match => match.Value).Distinct());
        Assert.DoesNotMatch(@"<(link|img|iframe)\b|@import|url\(|\ssrc=", html);
        Assert.DoesNotContain("{{", html, StringComparison.Ordinal);
    }

    [Fact]
    public void Hostile_names_samples_and_figures_stay_text()
    {
        var run = folder.Run("a<b>&'", steps: 10);
        Directory.CreateDirectory(Path.Combine(run, "samples"));
        File.WriteAllText(Path.Combine(run, "samples", "step-00000010.txt"), "the " + Hostile);
        File.WriteAllText(Path.Combine(run, "evaluation.json"),
            JsonSerializer.Serialize(new Dictionary<string, object> { [Hostile] = Hostile, ["perplexity"] = 3.5 }));
        var html = Write(run);

        Assert.Equal(2, Regex.Count(html, "</script>"));
        Assert.DoesNotContain("<img", html, StringComparison.Ordinal);
        Assert.DoesNotContain('\u2028', html);
        var sample = Data(html).GetProperty("runs")[0].GetProperty("samples")[0].GetProperty("texts")[0];
        Assert.Equal(("the ", Hostile), (sample.GetProperty("prompt").GetString(), sample.GetProperty("text").GetString()));
        Assert.Equal("a<b>&'", Data(html).GetProperty("runs")[0].GetProperty("name").GetString());
    }

    [Fact]
    public void Losses_that_are_not_finite_are_gaps()
    {
        var html = Write(folder.Run("a", lines: [RunFolder.Step(1), RunFolder.Step(2, "\"NaN\""), RunFolder.Step(3, "\"Infinity\"")]));
        var loss = Data(html).GetProperty("runs")[0].GetProperty("curves").GetProperty("loss");
        Assert.Equal([JsonValueKind.Number, JsonValueKind.Null, JsonValueKind.Null], loss.GetProperty("mean").EnumerateArray()
            .Select(value => value.ValueKind));
        Assert.Equal([1, 2], loss.GetProperty("notFinite").EnumerateArray().Select(index => index.GetInt32()));
    }

    [Fact]
    public void Runs_of_one_name_are_told_apart_and_one_run_twice_is_shown_once()
    {
        string[] runs = [folder.Run("first/run"), folder.Run("second/run"), folder.Run("third")];
        var data = Data(Write([.. runs, runs[0] + "/"]));
        Assert.Equal(["first/run", "second/run", "third"], data.GetProperty("runs").EnumerateArray()
            .Select(run => run.GetProperty("name").GetString()));
        Assert.Contains("it is given more than once and shown once", Assert.Single(warnings), StringComparison.Ordinal);
    }

    [Fact]
    public void Damaged_files_are_left_out_and_named_in_the_page()
    {
        var run = folder.Run("a", lines: [RunFolder.Step(1), "{\"step\":"]);
        File.WriteAllText(Path.Combine(run, "evaluation.json"), "{ \"perplexity\": 3, \"perplexity\": 4 }");
        File.WriteAllText(Path.Combine(run, "study.json"), "[]");
        var data = Data(Write(run));
        Assert.Equal(3, warnings.Count);
        Assert.Equal(warnings, data.GetProperty("warnings").EnumerateArray().Select(warning => warning.GetString()));
        Assert.Contains(warnings, warning => warning.Contains("metrics.jsonl, line 2", StringComparison.Ordinal));
    }

    [Fact]
    public void What_is_no_run_is_refused()
    {
        Assert.Contains("there is no such run directory", Refusal(folder.Root + "/nowhere"), StringComparison.Ordinal);
        Assert.Contains("it is not a run directory: it has neither metrics.jsonl nor config.json", Refusal(folder.Root),
            StringComparison.Ordinal);
        Assert.Contains("it is a file; give the directory of a run", Refusal(Path.Combine(folder.Run("a"), "config.json")),
            StringComparison.Ordinal);
        Assert.Contains("nothing is recorded here yet", Refusal(folder.Run("b", lines: [])), StringComparison.Ordinal);
    }

    [Fact]
    public void A_run_that_has_just_begun_does_not_spoil_the_others()
    {
        var data = Data(Write(folder.Run("a"), folder.Run("b", lines: [])));
        Assert.Equal(2, data.GetProperty("runs").GetArrayLength());
        Assert.Contains("only its configuration is shown", Assert.Single(warnings), StringComparison.Ordinal);
    }

    private string Write(params string[] runs)
    {
        var output = Path.Combine(folder.Root, "pages", "report.html");
        RunReport.Write(runs, output, new Told(warnings.Add));
        return File.ReadAllText(output);
    }

    private string Refusal(string run) => Assert.Throws<UserException>(() => Write(run)).Message;

    private static JsonElement Data(string html) => JsonDocument.Parse(DataElement().Match(html).Groups[1].Value).RootElement;

    [GeneratedRegex("""<script type="application/json" id="data">(.*?)</script>""", RegexOptions.Singleline)]
    private static partial Regex DataElement();

    [GeneratedRegex("""https?://[^"'\s]*""")]
    private static partial Regex Address();

    private sealed class Told(Action<string> tell) : IProgress<string>
    {
        public void Report(string value) => tell(value);
    }
}
