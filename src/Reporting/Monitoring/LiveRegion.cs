using Spectre.Console;
using Spectre.Console.Rendering;

namespace Trainer.Reporting.Monitoring;

/// <summary>A few lines at the end of a terminal that are redrawn in place, and what is written above them.</summary>
/// <remarks>Spectre.Console's own live display hides the cursor, which a killed process leaves hidden, never narrows with
/// the terminal and leaves the ends of longer lines behind. Here the cursor stays visible on the line below, so that
/// however the process ends the shell's prompt finds a line of its own, and a frame is one write, so that nothing
/// flickers. Not safe for use from several threads at once.</remarks>
/// <param name="console">A terminal that understands escape sequences.</param>
internal sealed class LiveRegion(IAnsiConsole console)
{
    private IReadOnlyList<int> _drawn = [];

    /// <summary>Replaces the lines.</summary>
    /// <param name="lines">Markup, one line each, every one narrower than the terminal.</param>
    /// <param name="above">Markup of lines to leave above for good; null for none.</param>
    public void Draw(IReadOnlyList<string> lines, string? above = null)
    {
        var erase = Erase();
        var text = string.Concat(lines.Prepend(above).OfType<string>().Select(line => line + "\n"));
        console.Write(new Frame(erase, new Markup(text)));
        _drawn = [.. lines.Select(line => Markup.Remove(line).Length)];
    }

    // A terminal that was made narrower has broken the lines into several rows.
    private string Erase()
    {
        var width = Math.Max(1, console.Profile.Width);
        var rows = _drawn.Sum(length => Math.Max(1, (length + width - 1) / width));
        return rows == 0 ? "" : $"\r\e[{rows}A\e[0J";
    }

    private sealed class Frame(string erase, IRenderable content) : Renderable
    {
        protected override IEnumerable<Segment> Render(RenderOptions options, int maxWidth) =>
            content.Render(options, maxWidth).Prepend(Segment.Control(erase));
    }
}
