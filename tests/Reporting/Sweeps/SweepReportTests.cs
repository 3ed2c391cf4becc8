using Trainer.Configuration;
using Trainer.Reporting.Sweeps;

namespace Trainer.Reporting.Tests.Sweeps;

public sealed class SweepReportTests : IDisposable
{
    private readonly RunFolder folder = new();

    public void Dispose() => folder.Dispose();

    [Fact]
    public async Task The_page_has_a_table_parallel_coordinates_and_curves_and_is_read_by_pointing()
    {
        var page = Write(Sweep(failed: "2-2"));
        await using var browser = await Browser.Start();
        await browser.Open(page);

        Assert.Equal("Sweep of x.json", await browser.Evaluate<string>("document.querySelector('h1').textContent"));
        Assert.Equal(
            ["2 0.002 muon 2 1.1000 0.1414", "1 0.001 adamw 2 1.6500 0.2121", "3 0.004 <b>x</b> 2 2.0000 –"],
            await browser.Evaluate<string[]>("[...document.querySelector('table').tBodies[0].rows].map(row => [...row.cells].slice(0, 6)" +
                ".map(cell => cell.textContent.trim()).join(' '))"));
        // Student's t of two pairs, 0.5 and 0.6: 0.55 ± 12.706 · 0.05. Of one there is the difference alone.
        Assert.Equal(
            ["–, –, –", "+0.5500, −0.0853 … +1.1853, 0.058", "+1.0000, –, –"],
            await browser.Evaluate<string[]>("[...document.querySelector('table').tBodies[0].rows].map(row => [...row.cells].slice(6, 9)" +
                ".map(cell => cell.textContent).join(', '))"));
        Assert.Equal(["best", "", "1 failed"],
            await browser.Evaluate<string[]>("[...document.querySelector('table').tBodies[0].rows].map(row => row.cells[11].textContent)"));
        Assert.Equal(6, await browser.Evaluate<int>("document.querySelectorAll('.parallel polyline').length"));
        Assert.Equal(["Configurations", "Parallel coordinates", "Curves", "Failed runs"],
            await browser.Evaluate<string[]>("[...document.querySelectorAll('h2')].map(title => title.textContent)"));
        Assert.Equal(3, await browser.Evaluate<int>("chart.series.length"));
        Assert.Equal("[1.2,1.1]", await browser.Evaluate<string>("JSON.stringify(chart.series[0].y)"));

        await browser.Evaluate<bool>("document.querySelectorAll('.parallel polyline')[3]" +
            ".dispatchEvent(new PointerEvent('pointerenter')) || true");
        Assert.StartsWith("configuration 2: optimizer.learningRate 0.002, optimizer.type muon, validation loss 1.1000",
            await browser.Evaluate<string>("document.querySelector('.reading').textContent"), StringComparison.Ordinal);
        await browser.Click("input[type=checkbox]");
        Assert.Equal(8, await browser.Evaluate<int>("chart.series.length"));
        await browser.Open(page, 390, 844, mobile: true, dark: true);
        Assert.InRange(await browser.Evaluate<int>("document.documentElement.scrollWidth"), 0, 390);
        Assert.Empty(browser.Complaints);
        Assert.All(browser.Requests, request => Assert.Equal(new Uri(page).AbsoluteUri, request));
    }

    [Fact]
    public void What_is_no_sweep_or_has_no_record_yet_is_refused()
    {
        Assert.Contains("sweep.json: the sweep's definition cannot be read", Refusal(folder.Root), StringComparison.Ordinal);
        var sweep = Sweep();
        foreach (var run in Directory.EnumerateDirectories(sweep)) File.Delete(Path.Combine(run, "metrics.jsonl"));
        Assert.Contains("none of its 6 runs has recorded anything yet", Refusal(sweep), StringComparison.Ordinal);
    }

    private string Refusal(string sweep) => Assert.Throws<UserException>(() => Write(sweep)).Message;

    private string Write(string sweep)
    {
        var page = Path.Combine(folder.Root, "sweep.html");
        SweepReport.Write(sweep, page, new Progress<string>());
        return page;
    }

    /// <summary>Three configurations with two seeds, evaluated at steps 10 and 20.</summary>
    private string Sweep(string? failed = null)
    {
        var directory = Directory.CreateDirectory(Path.Combine(folder.Root, "sweep")).FullName;
        double[] losses = [1.5, 1.0, 2.0], ofSeeds = [0.3, 0.2, 0.2];
        SweepDefinition definition = new()
        {
            Recipe = "x.json",
            Settings = ["optimizer.learningRate=0.001,0.002,0.004"],
            Seeds = 2,
            Rungs = [],
            Varied = ["optimizer.learningRate", "optimizer.type"],
            Configurations = [new(["0.001", "adamw"]), new(["0.002", "muon"]), new(["0.004", "<b>x</b>"])],
            Runs = [.. from configuration in Enumerable.Range(0, 3) from seed in Enumerable.Range(1, 2)
                select new SweepRun($"{configuration}-{seed}", configuration, seed)],
        };
        foreach (var run in definition.Runs)
        {
            var loss = losses[run.Configuration] + ofSeeds[run.Configuration] * (run.Seed - 1);
            folder.Run($"sweep/{run.Name}", lines:
                [RunFolder.Step(10), RunFolder.Evaluation(10, loss + 0.1), RunFolder.Step(20), RunFolder.Evaluation(20, loss)]);
        }
        new SweepRecord(definition, definition.Runs.ToDictionary(run => run.Name, run => run.Name == failed
            ? new SweepOutcome(SweepStatus.Failed, 20, "training stopped")
            : new SweepOutcome(SweepStatus.Completed, 20))).Save(directory);
        return directory;
    }
}
