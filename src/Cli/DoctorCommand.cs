using System.CommandLine;
using System.Text.Json;
using Trainer.Data.Preparation;
using Trainer.Training;
using Trainer.Training.Plan;

namespace Trainer.Cli;

internal static class DoctorCommand
{
    private static readonly JsonSerializerOptions Json = new(JsonSerializerDefaults.Web) { WriteIndented = true };

    internal static Command Create()
    {
        var json = new Option<bool>("--json") { Description = "Print one JSON object." };
        var command = new Command("doctor", "Reports what this machine can do, and what holds it back.") { json };
        command.SetAction(parsed => Examine(parsed.GetValue(json)));
        return command;
    }

    private static int Examine(bool json)
    {
        var machine = MachineReport.Examine();
        var datasets = PreparedDataset.Find(TrainingRequest.DefaultDatasetsDirectory);
        if (json)
        {
            Console.WriteLine(JsonSerializer.Serialize(new { machine.Rows, machine.Advice, Data = datasets }, Json));
            return ExitCode.Done;
        }

        foreach (var (name, value) in machine.Rows) Console.WriteLine($"{name,-20} {value}");
        DataSection.Print(datasets);
        foreach (var advice in machine.Advice) Console.WriteLine($"! {advice}");
        return ExitCode.Done;
    }
}
