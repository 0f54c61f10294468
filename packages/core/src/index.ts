export * from './admission.ts'
export * from './app-error.ts'
export * from './new-id.ts'
