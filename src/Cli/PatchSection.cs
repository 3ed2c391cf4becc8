using System.CommandLine;
using System.Globalization;
using System.Text.Json.Nodes;
using TorchSharp;
using Trainer.Checkpoints;
using Trainer.Configuration;
using Trainer.Evaluation.Patches;
using Trainer.Models;
using Trainer.Models.Patches;
using Trainer.Reporting.Monitoring;
using Trainer.Training;

namespace Trainer.Cli;

/// <summary>The part of <c>evaluate</c> for models of pictures and time series.</summary>
internal static class PatchSection
{
    private const int FilesShown = 20, ClassesShown = 3;

    internal static readonly Option<int?> Season = new("--season")
    {
        Description = "For a model of time series: steps of time after which values repeat; those so long before are a forecast to " +
            "compare with.",
        HelpName = "N",
    };

    internal static void AddTo(Command command) => command.Add(Season);

    /// <summary>Measures a checkpoint on its validation data, or on what <paramref name="data"/> names; <paramref name="others"/> are the
    /// options that are for texts.</summary>
    internal static JsonObject Run(
        ParseResult parsed, Checkpoint checkpoint, SequenceModel model, torch.Device device, string? data, IEnumerable<Option> others)
    {
        bool series = checkpoint.Model.PatchInput() is SeriesPatchOptions;
        Problem[] problems = [.. others.Where(parsed.Has).Select(
            option => new Problem(option.Name, "is for texts, and this model reads pictures or time series; leave it out"))];
        if (!series && parsed.GetValue(Season) is not null)
            problems = [.. problems, new("--season", "is for models of time series, and this one reads pictures; leave it out")];
        if (parsed.GetValue(Season) is { } period && checkpoint.Model.PatchInput() is SeriesPatchOptions { Length: var length }
            && (period < 1 || period > length))
            problems = [.. problems, new("--season", $"is {period}; it must be from 1 to the {length} values that are read")];
        if (problems.Length > 0) throw new ConfigurationException(problems, "command line");
        PatchReports reports = new(checkpoint, model, device);
        Console.WriteLine($"{checkpoint.Directory} on {data ?? $"the validation data of {checkpoint.Configuration.Name}"}");
        var progress = new StandardError();
        if (series)
            return data is null
                ? Print(reports.ForecastValidation(TrainingRequest.DefaultDatasetsDirectory, parsed.GetValue(Season), progress))
                : Forecast(reports.Forecast(data, parsed.GetValue(Season)));
        return data is null
            ? Print(reports.ClassifyValidation(TrainingRequest.DefaultDatasetsDirectory, progress))
            : Pictures(reports.Classify(data));
    }

    private static JsonObject Print(ClassificationReport report)
    {
        Row("accuracy", $"{Figure(report.Accuracy)}, {Figure(report.InTop)} among the {report.Top} most likely");
        Row("loss", $"{Figure(report.MeanLoss)} nats per picture");
        Row("pictures", HumanFormat.Number(report.Pictures));
        foreach (var entry in report.Classes)
            Row($"  {entry.Name}", entry.Accuracy is { } accuracy
                ? $"{Figure(accuracy)} of {HumanFormat.Number(entry.Pictures)}"
                : "no pictures");
        return JsonFile.Object(report);
    }

    private static JsonObject Pictures(IReadOnlyList<PicturePrediction> pictures)
    {
        foreach (var picture in pictures.Take(FilesShown))
            Row(Path.GetFileName(picture.File), string.Join(", ", picture.Classes.Take(ClassesShown).Select(
                entry => $"{entry.Name} {Figure(entry.Probability)}")) + (picture.Class is { } own ? $"; it is of {own}" : ""));
        if (pictures.Count > FilesShown) Row($"and {pictures.Count - FilesShown} more", "--json has them all");
        PicturePrediction[] known = [.. pictures.Where(picture => picture.Class is not null)];
        var json = new JsonObject { ["pictures"] = pictures.Count };
        if (known.Length > 0)
        {
            var accuracy = (double)known.Count(picture => picture.Class == picture.Predicted) / known.Length;
            Row("accuracy", $"{Figure(accuracy)} of {HumanFormat.Counted(known.Length, "picture")}");
            json["accuracy"] = accuracy;
        }
        json["predictions"] = new JsonArray([.. pictures.Select(picture => JsonFile.Object(picture))]);
        return json;
    }

    private static JsonObject Forecast((ForecastReport? Errors, IReadOnlyList<VariableForecast> Following) made)
    {
        var json = made.Errors is { } errors ? Print(errors) : [];
        if (made.Errors is null) Row("errors", "none: the table has no rows behind what is read to compare with");
        foreach (var variable in made.Following.Take(FilesShown))
            Row($"{variable.Variable} goes on", string.Join(", ", variable.Values.Take(8).Select(Figure))
                + (variable.Values.Count > 8 ? ", …" : ""));
        json["forecast"] = new JsonArray([.. made.Following.Select(variable => JsonFile.Object(variable))]);
        return json;
    }

    private static JsonObject Print(ForecastReport report)
    {
        Row("", $"{"mean squared error",18}  {"mean absolute error",19}   of standardised values");
        Errors("model", report.Model);
        Errors("the last value", report.LastValue);
        if (report.LastSeason is { } season) Errors($"the {report.Season} before", season);
        Row("values", HumanFormat.Number(report.Values));
        return JsonFile.Object(report);
    }

    private static void Errors(string name, ForecastErrors errors) =>
        Row(name, $"{Figure(errors.MeanSquaredError),18}  {Figure(errors.MeanAbsoluteError),19}");

    private static string Figure(float value) => Figure((double)value);

    private static string Figure(double value) => value.ToString("F4", CultureInfo.InvariantCulture);

    private static void Row(string name, string value) => Console.WriteLine($"  {name,-24} {value}");
}
