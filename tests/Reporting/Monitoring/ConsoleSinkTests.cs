using Spectre.Console;
using Trainer.Reporting.Monitoring;
using Trainer.Tests;

namespace Trainer.Reporting.Tests.Monitoring;

public class ConsoleSinkTests
{
    [Theory]
    [InlineData(false, "TERM=xterm-256color", true)]
    [InlineData(false, "TERM=xterm CI=false", true)]
    [InlineData(true, "TERM=xterm-256color", false)]
    [InlineData(false, "TERM=xterm CI=true", false)]
    [InlineData(false, "TERM=xterm NO_COLOR=1", false)]
    [InlineData(false, "TERM=dumb", false)]
    [InlineData(false, "", false)]
    public void The_display_is_live_only_on_a_terminal_that_wants_it(bool redirected, string environment, bool live)
    {
        var variables = environment.Split(' ', StringSplitOptions.RemoveEmptyEntries).Select(pair => pair.Split('=')).ToDictionary(
            pair => pair[0], pair => pair[1]);

        Assert.Equal(live, ConsoleSink.IsLive(redirected, variables.GetValueOrDefault));
    }

    [Fact]
    public void Plain_lines_are_aligned_and_hold_no_escapes()
    {
        var time = ManualTime.Start();
        var writer = new StringWriter { NewLine = "\n" };
        using var sink = new PlainConsoleSink(writer, new RunProgress(2000), time);

        sink.Message("text corpus: 1.12M characters");
        sink.Step(Records.Step(10, 3.9));
        time.Advance(0.582);
        sink.Step(Records.Step(20) with { ModelFlopUtilisation = 0.31, SkippedSteps = 2 });
        sink.Evaluation(Records.Evaluation(1000));
        sink.Evaluation(Records.Evaluation(1250, bestStep: 1000));
        sink.Sample(1250, "ROMEO:", "\nGood \e[31mday\0.");

        Assert.Equal(
            """
            text corpus: 1.12M characters
            step    10/2,000  loss 3.9000  rate 8.2e-4  gradient  0.74  13.2k tok/s  58.2 ms/step  1 min 55 s left
            step    20/2,000  loss 1.8312  rate 8.2e-4  gradient  0.74  13.2k tok/s  58.2 ms/step  31 % of peak  2 skipped  1 min 55 s left
            step 1,000/2,000  validation loss 1.9123  perplexity 6.77  best so far
            step 1,250/2,000  validation loss 1.9123  perplexity 6.77  best 1.8123 at step 1,000
                | ROMEO:
                | Good ·[31mday·.

            """,
            writer.ToString());
    }

    [Fact]
    public void Display_keeps_its_columns_and_fits_the_terminal()
    {
        var run = new RunProgress(2000);
        var early = new ProgressState(
            run, Records.Step(10, 10.25), null, TimeSpan.FromSeconds(1), TimeSpan.FromSeconds(92),
            new DateTimeOffset(2026, 1, 2, 13, 52, 0, default), false);
        var late = early with { Step = Records.Step(1990), Evaluation = Records.Evaluation(1750, bestStep: 1500) };

        Assert.Equal(
            [
                " ────────────────────────────────────────────────     10/2,000    0 %  1 min 30 s left, done 13:52",
                "    loss  validation             best        speed  learning rate  gradient     step",
                " 10.2500           -                -  13.2k tok/s         8.2e-4      0.74  58.2 ms",
            ],
            Plain(ProgressView.Lines(early, 100, unicode: true)));
        Assert.Equal(
            [
                " ================================.  1,990/2,000   99 %  1 min 30 s left, done 13:52",
                "    loss  validation             best        speed  learning rate  gradient",
                "  1.8312      1.9123  1.8123 at 1,500  13.2k tok/s         8.2e-4      0.74",
            ],
            Plain(ProgressView.Lines(late, 84, unicode: false)));
        for (var width = 30; width < 140; width++)
            foreach (var line in ProgressView.Lines(late, width, unicode: true).Skip(1))
                Assert.InRange(Markup.Remove(line).Length, 0, width - 1);
    }

    [Fact]
    public void Stopped_display_says_so()
    {
        var state = new ProgressState(
            new RunProgress(2000), Records.Step(500), null, TimeSpan.FromSeconds(92), TimeSpan.Zero, null, Stopped: true);

        Assert.EndsWith("stopped after 1:32", ProgressView.Lines(state, 100, true)[0]);
        Assert.EndsWith("done in 1:32", ProgressView.Lines(state with { Step = Records.Step(2000) }, 100, true)[0]);
    }

    [Fact]
    public void Live_display_stays_below_messages_and_never_hides_the_cursor()
    {
        var writer = new StringWriter();
        using (var sink = new LiveConsoleSink(Terminal(writer), new RunProgress(2000), ManualTime.Start()))
        {
            sink.Message("before the first step");
            sink.Step(Records.Step(500));
            sink.Message("checkpoint [step-00000500] saved");
            sink.Sample(500, "ROMEO:", " \e[2J[bold]");
        }

        var output = writer.ToString();
        Assert.StartsWith("before the first step\ncheckpoint [step-00000500] saved\n ━", output);
        Assert.Contains("\r\e[3A\e[0J | \e[3mROMEO: ·[2J[bold]\e[0m\n", output);
        Assert.EndsWith("58.2 ms\n", output);
        Assert.Contains("stopped after", output);
        Assert.DoesNotContain("\e[?25l", output);
    }

    [Fact]
    public void Live_region_erases_the_rows_that_a_narrower_terminal_made_of_its_lines()
    {
        var writer = new StringWriter();
        var terminal = Terminal(writer);
        var region = new LiveRegion(terminal);

        region.Draw([new string('a', 90), "b"]);
        terminal.Profile.Width = 40;
        region.Draw(["c"], above: "message");

        Assert.Equal($"{new string('a', 90)}\nb\n\r\e[4A\e[0Jmessage\nc\n", writer.ToString());
    }

    private static IAnsiConsole Terminal(TextWriter writer)
    {
        var console = AnsiConsole.Create(
            new AnsiConsoleSettings { Ansi = AnsiSupport.Yes, ColorSystem = ColorSystemSupport.NoColors,
            Out = new AnsiConsoleOutput(writer) });
        console.Profile.Width = 100;
        console.Profile.Capabilities.Unicode = true;
        return console;
    }

    private static IEnumerable<string> Plain(IEnumerable<string> lines) => lines.Select(Markup.Remove);
}
