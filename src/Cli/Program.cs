using Trainer.Cli;

return CommandLineApp.Run(args);
