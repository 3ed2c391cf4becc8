using System.CommandLine;
using System.CommandLine.Parsing;
using System.Reflection;
using System.Text.Json.Serialization;
using Trainer.Models.Devices;

namespace Trainer.Cli;

/// <summary>The option by which verbs that need no recipe are told where to compute; its values are those of training.device.</summary>
internal static class DeviceArgument
{
    private static readonly Dictionary<string, DeviceChoice> Choices = Enum.GetValues<DeviceChoice>().ToDictionary(
        choice => typeof(DeviceChoice).GetField(choice.ToString())!.GetCustomAttribute<JsonStringEnumMemberNameAttribute>()!.Name,
        StringComparer.OrdinalIgnoreCase);

    /// <summary>Makes the option.</summary>
    public static Option<DeviceChoice> Create()
    {
        Option<DeviceChoice> option = new("--device")
        {
            Description = "auto, cpu, cuda (the first GPU) or cuda:1 (the second).",
            DefaultValueFactory = _ => DeviceChoice.Auto,
            CustomParser = Parse,
        };
        option.CompletionSources.Add([.. Choices.Keys]);
        return option;
    }

    private static DeviceChoice Parse(ArgumentResult argument)
    {
        if (argument.Tokens is [var token] && Choices.TryGetValue(token.Value, out var choice)) return choice;
        argument.AddError($"--device '{string.Join(' ', argument.Tokens.Select(token => token.Value))}' is not allowed; allowed: {string.Join(", ", Choices.Keys)}");
        return DeviceChoice.Auto;
    }
}
