using Trainer.Configuration;

namespace Trainer.Reporting.Adapting;

/// <summary>An HTML page of a model's variants: loss against cache, with the front and the budget, and a table.</summary>
public static class AdaptPage
{
    /// <summary>Its name in the directory of the results.</summary>
    public const string FileName = "adapt.html";

    /// <summary>Writes the page atomically.</summary>
    /// <exception cref="UserException">It cannot be written.</exception>
    public static void Write(AdaptResults results, string output) => HtmlPage.Write(output, HtmlPage.Create(
        $"Variants of {results.Source}", new
        {
            results.Source,
            results.Budget,
            results.Context,
            results.MaxLoss,
            results.Steps,
            results.Original,
            Points = results.Points.Select(point => new
            {
                point.Name, Loss = PageNumber.Rounded(point.Loss), point.CacheBytesPerToken, point.TokensPerSecond, point.IsOnFront,
                point.Error, Change = PageNumber.Rounded(results.Change(point)), IsChosen = point == results.Chosen,
            }),
        }, "adapt.js"));
}
