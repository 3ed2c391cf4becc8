namespace Trainer.Reporting.Tests;

/// <summary>The pages in a real browser: drawn without a complaint, and they answer the pointer.</summary>
public sealed class PagesInABrowserTests : IDisposable
{
    private readonly RunFolder folder = new();

    public void Dispose() => folder.Dispose();

    [Fact]
    public async Task A_report_is_drawn_and_tells_what_is_pointed_at()
    {
        var study = Directory.CreateDirectory(Path.Combine(folder.Root, "tables")).FullName;
        File.WriteAllText(Path.Combine(study, "study.json"), """{ "title": "A study", "rows": [ { "method": "x", "share": 0, "loss": 2 }, { "method": "x", "share": 1, "loss": 1 } ], "plots": [ { "x": "share", "y": "loss", "series": "method" } ] }""");
        var first = folder.Run("a");
        File.WriteAllText(Path.Combine(first, "evaluation.json"), """{ "negativeLogLikelihood": 15, "meanLoss": 1.5, "tokens": 10, "beginningToken": null, "byPosition": [ { "from": 1, "to": 8, "tokens": 5, "loss": 2 }, { "from": 9, "to": 16, "tokens": 5, "loss": 1 } ] }""");
        File.WriteAllText(Path.Combine(first, "evaluation-passkey.json"), """{ "accuracy": 0.5, "cells": [ { "length": 32, "depth": 0, "found": 1, "trials": 4 }, { "length": 64, "depth": 0, "found": 3, "trials": 4 }, { "length": 32, "depth": 1, "found": 4, "trials": 4 } ] }""");
        Directory.CreateDirectory(Path.Combine(first, "profile"));
        File.WriteAllText(Path.Combine(first, "profile", "step-20-30.json"), """{ "firstStep": 20, "lastStep": 30, "threads": 1, "secondsPerStep": 0.01, "parts": [ { "name": "forward <b>attention</b>", "seconds": 0.006, "share": 0.6 }, { "name": "optimizer", "seconds": 0.0035, "share": 0.35 } ], "unaccountedSeconds": 0.0005 }""");
        Directory.CreateDirectory(Path.Combine(first, "samples"));
        File.WriteAllText(Path.Combine(first, "samples", "step-00000010.txt"), "the <b>cat</b>");
        var page = Report(first, folder.Run("b", steps: 80), study);

        await using var browser = await Browser.Start();
        await browser.Open(page);
        Assert.Equal("Training report of 2 runs", await Text(browser, "h1"));
        Assert.Equal(2, await browser.Evaluate<int>("document.querySelectorAll('section table')[0].tBodies[0].rows.length"));
        Assert.Equal("the <b>cat</b>", await Text(browser, ".sample pre"));
        Assert.Equal(
            ["Loss (nats per token)", "Gradient norm before clipping", "Learning rate", "Tokens a second", "loss by share",
                "loss by position", "accuracy by length"],
            await browser.Evaluate<string[]>(
                "[...document.querySelectorAll('figure')].map(figure => figure.querySelector('figcaption > span').textContent)"));
        Assert.True(await Drawn(browser, ".wide canvas"));
        Assert.Equal("a: steps 20 to 30, 10 ms each",
            await browser.Evaluate<string>("document.querySelector('.stepbar').previousSibling.textContent"));
        Assert.Equal(
            ["60% forward <b>attention</b>: 6 ms", "35% optimizer: 3.5 ms", "5% not accounted for: 0.5 ms"],
            await browser.Evaluate<string[]>(
                "[...document.querySelectorAll('.stepbar span')].map(span => `${span.style.width} ${span.title}`)"));
        Assert.Equal(
            ["forward <b>attention</b>", "6", "60.0 %"],
            await browser.Evaluate<string[]>(
                "[...document.querySelector('.stepbar + .scroll tbody').rows[0].cells].map(cell => cell.textContent.trim())"));

        await browser.Hover(".wide canvas", await browser.Evaluate<double>("charts.loss.toX(40) / charts.loss.canvas.clientWidth"));
        await browser.Until("!document.querySelector('.wide .readout').hidden");
        var read = await Text(browser, ".wide .readout");
        Assert.Equal("step 40" + "trainingvalidation" + "a1.10001.3500" + "b1.10001.3500", read);
        AssertQuiet(browser, page);
    }

    [Fact]
    public async Task Measures_taken_in_training_and_attention_maps_are_drawn()
    {
        string Figures(double loss) => string.Create(System.Globalization.CultureInfo.InvariantCulture,
            $"\"loss/window8-stride8\":{loss},\"loss/window16-stride8\":{loss - 0.5},\"lossByPosition/window8-stride8/4\":3,\"lossByPosition/window8-stride8/8\":{loss}");
        string[] lines = [RunFolder.Step(10), RunFolder.Measure(10, "perplexity", Figures(2)), RunFolder.Step(20),
            RunFolder.Measure(20, "perplexity", Figures(1))];
        var first = folder.Run("a", lines: lines);
        AttentionPage.WriteMap(
            new AttentionMap("model", [Maps.Causal("decoder", ["x", "y"], 1, 2)]), Path.Combine(first, "attention.json"));
        var page = Report(first, folder.Run("b", lines: lines));

        await using var browser = await Browser.Start();
        await browser.Open(page);
        Assert.Equal("Evaluation: perplexity", await Text(browser, "section h3"));
        Assert.Equal(
            "[[\"a, window 8, stride 8\",0,[2,1]],[\"a, window 16, stride 8\",8,[1.5,0.5]],[\"b, window 8, stride 8\",1,[2,1]],[\"b, " +
                "window 16, stride 8\",9,[1.5,0.5]]]",
            await browser.Evaluate<string>(
                "JSON.stringify(measured[0].charts[0].chart.series.map(line => [line.name, line.index, line.y]))"));
        Assert.True(await Drawn(browser, "h3 + .charts canvas"));
        await browser.Click(".legend button:nth-child(2)");
        Assert.Equal(2, await browser.Evaluate<int>("measured[0].charts[0].chart.series.length"));
        Assert.Equal("step 20",
            await browser.Evaluate<string>(
            "document.querySelector('input[aria-label=\"Step of loss by position\"]').nextSibling.textContent"));
        Assert.Equal(2, await browser.Evaluate<int>("lastFigures().querySelector('tbody').rows.length"));
        await browser.Until("document.querySelectorAll('.maps canvas').length === 2");
        Assert.Equal("layer 0, head 0", await Text(browser, ".detail h2"));
        AssertQuiet(browser, page);
    }

    [Fact]
    public async Task Axes_smoothing_and_hidden_runs_change_what_is_drawn()
    {
        var page = Report(folder.Run("a"), folder.Run("b", steps: 80));
        await using var browser = await Browser.Start();
        await browser.Open(page);
        Assert.Equal("step,80", await browser.Evaluate<string>("charts.loss.xName + ',' + charts.loss.area.x.high"));
        await browser.Click("[data-key=tokens]");
        Assert.Equal("tokens,5120", await browser.Evaluate<string>("charts.loss.xName + ',' + charts.loss.area.x.high"));
        await browser.Click("[data-key=time]");
        Assert.Equal("time,56", await browser.Evaluate<string>("charts.loss.xName + ',' + charts.loss.area.x.high"));
        await browser.Click(".legend button:nth-child(2)");
        Assert.Equal(28, await browser.Evaluate<double>("charts.loss.area.x.high"));

        await browser.Evaluate<bool>(
            "(() => { const s = document.querySelector('input[aria-label=Smoothing]'); s.value = 100; return s.dispatchEvent(new " +
            "Event('input')); })()");
        // Smoothed, the first loss (5) is drawn towards those that follow, and the raw values stay behind it.
        Assert.True(await browser.Evaluate<bool>("charts.loss.series[0].y[0] < 3 && charts.loss.series[0].raw[0] === 5"));
        Assert.Equal("[2,2,2]", await browser.Evaluate<string>("JSON.stringify(smooth([1, 2, 9], [2, 2, 2], 3))"));
        AssertQuiet(browser, page);
    }

    [Theory]
    [InlineData(390, 844, true)]
    [InlineData(1280, 900, false)]
    public async Task Pages_fit_the_width_of_the_screen(int width, int height, bool phone)
    {
        var report = Report([.. Enumerable.Range(0, 12).Select(
            i => folder.Run($"a-run-with-a-rather-long-name-{i}", learningRate: i * 1e-3))]);
        var map = Map(Maps.Causal("decoder", Maps.Tokens(32), 4, 12));
        await using var browser = await Browser.Start();
        foreach (var page in new[] { report, map })
        {
            await browser.Open(page, width, height, phone, dark: phone);
            Assert.InRange(await browser.Evaluate<int>("document.documentElement.scrollWidth"), 0, width);
            Assert.Equal(phone ? "rgb(20, 23, 27)" : "rgb(255, 255, 255)",
                await browser.Evaluate<string>("getComputedStyle(document.body).backgroundColor"));
        }
        Assert.Empty(browser.Complaints);
    }

    [Fact]
    public async Task An_attention_map_tells_query_key_and_weight()
    {
        var page = Map(Maps.Causal("decoder", ["␣a", "b", "<i>", "\\xE2"], 2, 3));
        await using var browser = await Browser.Start();
        await browser.Open(page);
        Assert.Equal(6, await browser.Evaluate<int>("document.querySelectorAll('.maps canvas').length"));
        Assert.True(await Drawn(browser, ".maps canvas"));

        await browser.Click(".maps button[aria-label='layer 1, head 2']");
        Assert.Equal("layer 1, head 2", await Text(browser, ".detail h2"));
        await browser.Hover(".maps canvas", 0.1, 0.1);
        await browser.Until("!document.querySelector('.readout').hidden");
        Assert.Contains("␣a → ␣a: 100 %", await Text(browser, ".readout"), StringComparison.Ordinal);

        var (x, y) = (await Share(browser, "left", 0.5, "Width"), await Share(browser, "top", 2.5, "Height"));
        await browser.Hover(".detail canvas", x, y);
        await browser.Until("document.querySelector('.reading').textContent.includes('→')");
        Assert.Equal("<i> (token 2) → ␣a (token 0): 12 %", await Text(browser, ".reading"));   // 1/8, kept in 8 bits
        Assert.Equal("<i>", await Text(browser, ".tokens .query"));
        AssertQuiet(browser, page);
    }

    [Fact]
    public async Task An_encoder_decoder_has_three_maps()
    {
        var page = Map(Maps.Even("encoder", ["a", "b", "c"], ["a", "b", "c"], 1, 2), Maps.Causal("decoder", ["x", "y"], 1, 2),
            Maps.Even("cross", ["x", "y"], ["a", "b", "c"], 1, 2));
        await using var browser = await Browser.Start();
        await browser.Open(page);
        await browser.Click(".controls button:nth-child(3)");
        Assert.Equal("cross, layer 0, head 0", await Text(browser, ".detail h2"));
        Assert.Equal("3,2", await browser.Evaluate<string>("(c => c.width + ',' + c.height)(document.querySelector('.maps canvas'))"));
        await browser.Hover(".tokens button:nth-child(2)");
        await browser.Until("document.querySelector('.reading').textContent.startsWith('y ')");
        AssertQuiet(browser, page);
    }

    [Fact]
    public async Task Attention_over_a_picture_is_shown_for_the_patch_that_is_clicked()
    {
        string[] patches = ["class", "0,0", "0,1", "1,0", "1,1"];
        var map = new AttentionMap("model", [Maps.Even("encoder", patches, patches, 1, 2)])
        {
            Unit = "patch",
            Picture = new AttentionPicture(4, 4, [.. Enumerable.Range(0, 48).Select(place => (byte)(5 * place))], 2, 2, ClassToken: true),
        };
        var (run, page) = (folder.Run("a"), Path.Combine(folder.Root, "attention.html"));
        AttentionPage.Write(map, page);
        AttentionPage.WriteMap(map, Path.Combine(run, "attention.json"));
        foreach (var each in new[] { page, Report(run) })
        {
            await using var browser = await Browser.Start();
            await browser.Open(each);
            Assert.Contains("Over the picture", await Text(browser, "main"), StringComparison.Ordinal);
            Assert.Contains("the class token", await Text(browser, ".reading"), StringComparison.Ordinal);
            Assert.True(await Drawn(browser, ".side > div > canvas"));
            Assert.Equal("class0,00,11,01,1", await Text(browser, ".tokens.patches"));
            Assert.DoesNotContain("Signs:", await Text(browser, "main"), StringComparison.Ordinal);
            await browser.Click(".side > div > canvas");
            await browser.Until("document.querySelector('.reading').textContent.includes('the patch in row 1, column 1')");
            await browser.Click(".tokens.patches button:nth-child(3)");
            await browser.Until("document.querySelectorAll('.reading')[1].textContent.includes('0,1 (patch 2) looks at the coloured')");
            AssertQuiet(browser, each);
        }
    }

    [Fact]
    public async Task A_report_of_pictures_counts_pictures_and_has_no_perplexity()
    {
        var run = folder.Run("a", lines: [RunFolder.Step(10), """{"step":10,"validationLoss":1.5,"evaluationSeconds":2}"""]);
        File.WriteAllText(Path.Combine(run, "config.json"), """{ "name": "a", "model": { "input": { "type": "image-patches" } } }""");
        await using var browser = await Browser.Start();
        var page = Report(run);
        await browser.Open(page);
        Assert.Equal(
            ["Loss (nats per picture)", "Gradient norm before clipping", "Learning rate", "Pictures a second"],
            await browser.Evaluate<string[]>(
                "[...document.querySelectorAll('figure')].map(figure => figure.querySelector('figcaption > span').textContent)"));
        Assert.Contains("pictures/s (median)", await Text(browser, "section thead"), StringComparison.Ordinal);
        Assert.DoesNotContain("erplexity", await Text(browser, "section"), StringComparison.Ordinal);
        AssertQuiet(browser, page);
    }

    private string Report(params string[] runs)
    {
        var page = Path.Combine(folder.Root, "report.html");
        RunReport.Write(runs, page, new Progress<string>());
        return page;
    }

    private string Map(params AttentionStack[] stacks)
    {
        var page = Path.Combine(folder.Root, "attention.html");
        AttentionPage.Write(new AttentionMap("model", stacks), page);
        return page;
    }

    private static Task<string> Text(Browser browser, string selector) =>
        browser.Evaluate<string>($"document.querySelector(\"{selector}\").textContent");

    /// <summary>Where the middle of a cell of the large picture is, as a share of the picture.</summary>
    private static Task<double> Share(Browser browser, string edge, double cells, string side) =>
        browser.Evaluate<double>(
            $"(attention.state.place.{edge} + {cells.ToString(System.Globalization.CultureInfo.InvariantCulture)} * " +
            $"attention.state.place.cell) / document.querySelector('.detail canvas').client{side}");

    private static Task<bool> Drawn(Browser browser, string selector) =>
        browser.Evaluate<bool>(
            "(c => new Set(new Uint32Array(c.getContext('2d').getImageData(0, 0, c.width, c.height).data.buffer)).size > " +
            $"2)(document.querySelector('{selector}'))");

    private static void AssertQuiet(Browser browser, string page)
    {
        Assert.Empty(browser.Complaints);
        Assert.Equal([new Uri(page).AbsoluteUri], browser.Requests);
    }
}
